-- A store as the version with schema 2 left it: two payouts wait, a third was paid long ago, a fourth is held.
INSERT INTO store VALUES (1, 'abababababababababababababababab');
INSERT INTO batches (id, seq, state, mark, method, node, wallet, boot_id, tip_height, tip_hash, fee_rate_per_vb, witnesses, not_sent_count, created_s)
VALUES ('00000000000000000000000000000001', 41, 'ended', 'bursar:abababababababababababababababab:41:00000000000000000000000000000001', 'sendmany',
        '127.0.0.1:1', 'w', 'boot', 1, printf('%064x', 1), 20, '[]', 0, 1000);
INSERT INTO payouts (seq, id, address, amount, state, submitted_s)
VALUES (1, 'one', :one, 10000000, 'queued', 501), (2, 'two', :two, 20000000, 'queued', 502), (3, 'three', :three, 30000000, 'held', 503);
INSERT INTO payout_history (payout, at_s, to_state) SELECT seq, submitted_s, 'queued' FROM payouts;
