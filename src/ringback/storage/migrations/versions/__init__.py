"""One file per migration, forward only, named by revision and what it adds."""
