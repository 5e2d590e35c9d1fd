"""Mirror preference optimization: losses made of three increasing functions, φ⁻¹, ψ and g."""
