"""What was done, said from what was executed: methods, versions, an RO-Crate; and whether it is still there."""
