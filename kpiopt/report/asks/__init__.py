"""How the plan shares out what is asked, in words and tables: cushions on top of it."""
