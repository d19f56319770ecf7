"""The program `hcs`: one module per group of commands, imported when the command is used."""
