"""The frozen models that compiler and executor share: step plans, contexts, plans, manifests, receipts."""
