// Says that all scripts of the page have run: what tests and readers' tools wait for.
"use strict";
document.documentElement.dataset.ready = "yes";
