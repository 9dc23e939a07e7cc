-- When a wallet's ledger was last in step with it, so that whoever looks can tell without the process that does it. None: not since there is this column.
ALTER TABLE wallets ADD COLUMN synced_s INTEGER;
