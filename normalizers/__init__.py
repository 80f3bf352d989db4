"""Pure rules on strings: Vietnamese text, entity labels, mentions. Standard library only."""
