-- A store as the version with schema 2 left it: a payout in every state, each that may be paid in a batch of that state.
INSERT INTO store VALUES (1, 'abababababababababababababababab');
WITH states (n, state) AS (VALUES (1, 'sending'), (2, 'in_doubt'), (3, 'sent'), (4, 'confirmed'), (5, 'final'), (6, 'disputed'), (7, 'ended'))
INSERT INTO batches (id, seq, state, mark, method, node, wallet, fingerprint, boot_id, tip_height, tip_hash, fee_rate_per_vb, coins_held,
                     witnesses, not_sent_count, created_s, doubt_s, doubt_reason, fenced_s, outcome)
SELECT printf('%032x', n), n, state, 'bursar:abababababababababababababababab:' || n || ':' || printf('%032x', n), 'sendmany',
       '127.0.0.1:1', 'w', NULL, 'boot', 100 + n, printf('%064x', n), iif(n = 7, NULL, 10 * n),
       iif(n IN (5, 7), NULL, json_array(json_object('txid', printf('%064x', 50 + n), 'vout', n))), '[]', iif(n = 2, 2, 0), 1000 + n,
       iif(n IN (2, 6), 2000, NULL), iif(n IN (2, 6), 'timeout', NULL), iif(n = 6, 2001, NULL), iif(n = 6, 'unclear', NULL)
FROM states;
INSERT INTO batch_outputs SELECT id, 0, 'to ' || state, printf('%04x', seq), 100 * seq FROM batches;
INSERT INTO batch_txids SELECT printf('%064x', 70 + seq), id, 'beef', 1, 1500 FROM batches WHERE seq BETWEEN 3 AND 5;
INSERT INTO payouts (seq, id, address, amount, state, reason, batch, not_sent_count, submitted_s)
SELECT seq, state, 'to ' || state, 100 * seq, state, NULL, id, not_sent_count, 500 + seq FROM batches WHERE state <> 'ended';
-- The clock went back before the last of them.
INSERT INTO payouts (seq, id, address, amount, state, reason, batch, not_sent_count, submitted_s)
VALUES (7, 'queued', 'to queued', 700, 'queued', NULL, NULL, 1, 507), (8, 'held', 'to held', 800, 'held', 'by ada', NULL, 3, 508),
       (9, 'cancelled', 'to cancelled', 900, 'cancelled', 'by ada', NULL, 0, 509),
       (10, 'rejected', 'to rejected', 9000000000000000000, 'rejected', 'bad address', NULL, 0, 400);
INSERT INTO payout_history (payout, at_s, from_state, to_state, reason, batch)
SELECT seq, submitted_s, NULL, 'queued', NULL, NULL FROM payouts;
PRAGMA user_version = 2;
