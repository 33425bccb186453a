"""Studies: questions that take more than one plan, and explanations of one."""
