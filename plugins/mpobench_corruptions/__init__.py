"""The paper's dataset corruptions (§4.1 and appendix I.4), in numpy."""
