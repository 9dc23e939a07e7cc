//! The table: what is wrong, the input, and words that its error has.

use super::support::BURN_ADDRESS;

/// One payout that cannot be.
pub(crate) struct Row {
    /// What is wrong with it.
    pub(crate) what: &'static str,
    /// Its id.
    pub(crate) id: String,
    /// Its payee.
    pub(crate) address: String,
    /// Its amount.
    pub(crate) amount: String,
    /// Its priority.
    pub(crate) priority: &'static str,
    /// The code of its refusal.
    pub(crate) code: &'static str,
    /// Words of its refusal.
    pub(crate) says: &'static str,
}

/// A payee that can be paid.
const GOOD: &str = BURN_ADDRESS;

/// Given out by litecoind 0.21 in regtest.
const MWEB: &str =
    "tmweb1qqd90uqf57qqatus0xc8pge9npk7yvt5upxlj39z9nvua69qlrf785qjtwzqzmhqz467d759qx5gamy2vtgl7zykez365audht942cucq7gy97ss4";

/// The wallet import format of a well-known private key: no error may repeat it.
pub(crate) const PRIVATE_KEY: &str = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";

/// Ids, addresses, amounts and priorities that are refused, each by itself.
pub(crate) fn rows() -> Vec<Row> {
    let row = |(what, id, address, amount, priority, code, says): (&'static str, String, String, String, &'static str, _, _)| {
        Row { what, id, address, amount, priority, code, says }
    };
    let of_id = |(what, id, says): &(&'static str, String, &'static str)| {
        row((what, id.clone(), GOOD.to_owned(), "1".to_owned(), "normal", "bad_id", says))
    };
    let of_address = |(at, (what, address, says)): (usize, &(&'static str, String, &'static str))| {
        row((what, format!("address-{at}"), address.clone(), "1".to_owned(), "normal", "bad_address", says))
    };
    let of_amount = |(at, (what, amount, says)): (usize, &(&'static str, &'static str, &'static str))| {
        row((what, format!("amount-{at}"), GOOD.to_owned(), (*amount).to_owned(), "normal", "bad_amount", says))
    };
    let mut rows: Vec<Row> = ids().iter().map(of_id).collect();
    rows.extend(addresses().iter().enumerate().map(of_address));
    rows.extend(AMOUNTS.iter().enumerate().map(of_amount));
    let taken = |what, address: &str, amount: &str, priority, says| {
        row((what, "taken".to_owned(), address.to_owned(), amount.to_owned(), priority, "id_taken", says))
    };
    rows.push(taken("an id that is taken, with another amount", GOOD, "2", "normal", "exists already with other content"));
    let other = "mrKyUKdKeNcSgLjU4E6Rnwtze4E8YbHFry";
    rows.push(taken("an id that is taken, with another address", other, "1", "normal", "exists already with other content"));
    rows.push(taken("an id that is taken, with another priority", GOOD, "1", "high", "exists already with other content"));
    for (what, priority) in [("an unknown priority", "urgent"), ("a priority in capitals", "HIGH"), ("a priority by number", "1")]
    {
        rows.push(row((
            what,
            "priority".to_owned(),
            GOOD.to_owned(),
            "1".to_owned(),
            priority,
            "usage",
            "is not a priority: high, normal, low",
        )));
    }
    rows
}

fn ids() -> Vec<(&'static str, String, &'static str)> {
    let text = str::to_owned;
    vec![
        ("an empty id", text(""), "it is empty"),
        ("an id that is too long", "x".repeat(129), "more than 128 characters"),
        ("an id with a space before it", text(" before"), "begins or ends with a space"),
        ("an id with a space behind it", text("behind "), "begins or ends with a space"),
        ("an id of one space", text(" "), "begins or ends with a space"),
        ("an id with a tab", text("tab\there"), "control characters"),
        ("an id with a line break", text("line\nbreak"), "control characters"),
        ("an id with a carriage return", text("carriage\rreturn"), "control characters"),
        ("an id with a NUL", text("nul\0here"), "NUL|control characters"),
        ("an id with an escape sequence", text("\u{1b}[31mred"), "control characters"),
        ("an id with a C1 control character", text("next\u{85}line"), "control characters"),
        ("an id with a zero-width space", text("zero\u{200b}width"), "invisible characters"),
        ("an id that turns the writing round", text("right\u{202e}left"), "invisible characters"),
        ("an id with a byte order mark", text("\u{feff}marked"), "invisible characters"),
        ("an id with a line separator", text("line\u{2028}separator"), "invisible characters"),
    ]
}

fn addresses() -> Vec<(&'static str, String, &'static str)> {
    let text = str::to_owned;
    vec![
        ("no address", text(""), "it is empty"),
        ("an address of bitcoin", text("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"), "another coin or network"),
        ("a script address of bitcoin", text("3P14159f73E4gFr7JterCCQh9QjiTjiZrG"), "another coin or network"),
        ("a segwit address of bitcoin", text("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), "another coin or network"),
        (
            "a segwit address of bitcoin's regtest",
            text("bcrt1qwf52dt9y2sv0f7fwkcpmtfjf74d4np2saeljt6"),
            "another coin or network",
        ),
        ("an address of the main chain", text("LT2KVaAy1ppRuxRgrS5RNU3vBsy7RibPeA"), "another coin or network"),
        ("a segwit address of the main chain", text("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"), "another coin or network"),
        ("an address of dogecoin", text("DD4KSSuBJqcjuTcvUg1CgUKeurPUFeEZkE"), "another coin or network"),
        ("an address of peercoin", text("p92W3t7YkKfQEPDb7cG9jQ6iMh7cpKLvwK"), "another coin or network"),
        ("a confidential address", text(MWEB), "confidential address"),
        ("a confidential address in capitals", MWEB.to_uppercase(), "confidential address"),
        ("a wrong checksum in base58", text("mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY9"), "checksum or spelling"),
        ("a wrong checksum in bech32", text("rltc1qt8ppaf4ka52allyskhnxv58urhyflmqk8dqxsv"), "checksum or spelling"),
        ("mixed case in bech32", text("rltc1qT8ppaf4ka52allyskhnxv58urhyflmqk8dqxsw"), "mixes upper and lower case"),
        ("a letter missing", text("mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY"), "checksum or spelling"),
        ("letters that base58 does not have", text("mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKr0O"), "checksum or spelling"),
        ("a space before it", format!(" {GOOD}"), "it has a space"),
        ("a space within", text("mfWxJ45yp2SFn7 UciZyNpvDKrzbhyfKrY8"), "it has a space"),
        ("a no-break space behind it", format!("{GOOD}\u{a0}"), "it has a space"),
        ("a tab behind it", format!("{GOOD}\t"), "control character"),
        ("a line break behind it", format!("{GOOD}\n"), "control character"),
        ("a NUL behind it", format!("{GOOD}\0"), "NUL|control character"),
        ("a Cyrillic letter", text("mfWхJ45yp2SFn7UciZyNpvDKrzbhyfKrY8"), "not ASCII"),
        ("a zero-width space within", text("mfWxJ45\u{200b}yp2SFn7UciZyNpvDKrzbhyfKrY8"), "not ASCII"),
        ("a wide digit", text("mfWxJ４5yp2SFn7UciZyNpvDKrzbhyfKrY8"), "not ASCII"),
        ("an address without an end", "m".repeat(201), "too long"),
        ("a payment link", format!("litecoin:{GOOD}?amount=1"), "checksum or spelling"),
        ("two addresses", format!("{GOOD},{GOOD}"), "checksum or spelling"),
        ("an address of ethereum", text("0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe"), "checksum or spelling"),
        ("a name", text("Bob"), "checksum or spelling"),
        ("a private key", text(PRIVATE_KEY), "checksum or spelling"),
        (
            "an extended public key",
            text(
                "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
            ),
            "checksum or spelling",
        ),
    ]
}

/// Amounts of a coin with 8 decimals, 84 million coins, and at most 250 in one payout.
const AMOUNTS: &[(&str, &str, &str)] = &[
    ("no amount", "", "it is empty"),
    ("a space", " ", "it has a space"),
    ("a space behind it", "1 ", "it has a space"),
    ("a no-break space within", "1\u{a0}000", "it has a space"),
    ("a line break behind it", "1\n", "control character"),
    ("a NUL behind it", "1\0", "NUL|control character"),
    ("nothing", "0", "must be above zero"),
    ("nothing with decimals", "0.00000000", "must be above zero"),
    ("less than nothing", "-1", "must be above zero"),
    ("negative zero", "-0", "must be above zero"),
    ("less than nothing by one unit", "-0.00000001", "must be above zero"),
    ("two signs", "--1", "it has a sign"),
    ("a plus sign", "+1", "it has a sign"),
    ("a typographic minus sign", "−1", "not ASCII"),
    ("an exponent", "1e3", "it has an exponent"),
    ("a negative exponent", "1E-8", "it has an exponent"),
    ("one decimal too many", "0.000000001", "more than 8 decimals"),
    ("one decimal too many, though it is zero", "1.000000000", "more than 8 decimals"),
    ("a float's tail", "0.1000000000000000055511151231257827", "more than 8 decimals"),
    ("a decimal comma", "1,5", "it has a comma"),
    ("commas for thousands", "1,000.50", "it has a comma"),
    ("an apostrophe for thousands", "1'000", "it has a separator"),
    ("an underscore for thousands", "1_000", "it has a separator"),
    ("no digit before the point", ".5", "begins or ends with a point"),
    ("no digit behind the point", "1.", "begins or ends with a point"),
    ("a point alone", ".", "begins or ends with a point"),
    ("two points", "1.2.3", "more than one point"),
    ("hexadecimal", "0x10", "it is hexadecimal"),
    ("not a number", "NaN", "it is not a number"),
    ("without end", "Infinity", "it is not a number"),
    ("a word", "ten", "it is not a number"),
    ("with the coin's name", "5LTC", "it is not a number"),
    ("a currency sign", "€5", "not ASCII"),
    ("Arabic digits", "١٢", "digits other than 0 to 9"),
    ("wide digits", "１", "digits other than 0 to 9"),
    ("a fraction", "½", "digits other than 0 to 9"),
    ("a fraction of two numbers", "1/2", "it is not a number"),
    ("above 64 bits", "99999999999999999999", "above the coin's money range"),
    ("just above 63 bits", "92233720368.54775808", "above the coin's money range"),
    ("above all the money there can be", "84000000.00000001", "above the coin's money range"),
    ("above the largest single payout", "250.00000001", "above 250.00000000, the largest single payout"),
    ("digits without end", "1111111111111111111111111111111111111111111111111111111111111111", "above the coin's money range"),
];

/// Files that are refused for how they are written: what is wrong, whether they are JSON lines, the bytes, words of the refusal. `GOOD` is a payee.
pub(crate) const FILES: &[(&str, bool, &[u8], &str)] = &[
    ("nothing", false, b"", "the file has no payouts"),
    ("empty lines", false, b"\n\r\n\n", "the file has no payouts"),
    ("a header alone", false, b"id,address,amount\n", "the file has no payouts"),
    ("no header", false, b"a,GOOD,1\n", "the first line has to name the columns"),
    ("a column that is missing", false, b"id,address\na,GOOD\n", "the first line has to name the columns"),
    ("a column that nobody knows", false, b"id,address,amount,note\na,GOOD,1,x\n", "the first line has to name the columns"),
    ("a column twice", false, b"id,id,address,amount\na,a,GOOD,1\n", "the first line has to name the columns"),
    ("semicolons", false, b"id;address;amount\na;GOOD;1\n", "the first line has to name the columns"),
    ("a column too many", false, b"id,address,amount\na,GOOD,1,2\n", "the row has 4 columns where the header has 3"),
    ("a column too few", false, b"id,address,amount\na,GOOD\n", "the row has 2 columns where the header has 3"),
    ("a quote that is not closed", false, b"id,address,amount\n\"a,GOOD,1\n", "a quote is not closed on this line"),
    ("a line break in quotes", false, b"id,address,amount\n\"a\nb\",GOOD,1\n", "a quote is not closed on this line"),
    ("a quote that ends early", false, b"id,address,amount\n\"a\"b,GOOD,1\n", "a quote ends before its column does"),
    ("a quote in the middle", false, b"id,address,amount\na\"b,GOOD,1\n", "a quote stands in the middle of a column"),
    ("UTF-16 from a spreadsheet", false, b"\xff\xfei\0d\0,\0", "the file is UTF-16: save it as UTF-8"),
    ("UTF-16 the other way round", false, b"\xfe\xff\0i\0d\0,", "the file is UTF-16: save it as UTF-8"),
    ("UTF-16 without a mark", false, b"i\0d\0,\0a\0\n\0", "the line has a NUL"),
    ("another encoding", false, b"id,address,amount\nM\xfcller,GOOD,1\n", "the line is not UTF-8"),
    ("an archive", false, b"\x1f\x8b\x08\0\0\0\0\0", "the line has a NUL"),
    ("old line ends", false, b"id,address,amount\ra,GOOD,1\r", "the first line has to name the columns"),
    (
        "an id twice with other content",
        false,
        b"id,address,amount\na,GOOD,1\na,GOOD,2\n",
        "stands in line 2 already, with other content",
    ),
    ("JSON that is named CSV", false, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":\"1\"}\n", "a quote stands in the middle"),
    ("CSV that is named JSON", true, b"id,address,amount\n", "not a JSON object"),
    ("an array", true, b"[\"a\",\"GOOD\",\"1\"]\n", "not a JSON object"),
    ("no id", true, b"{\"address\":\"GOOD\",\"amount\":\"1\"}\n", "missing field `id`"),
    ("no amount", true, b"{\"id\":\"a\",\"address\":\"GOOD\"}\n", "missing field `amount`"),
    (
        "a field that nobody knows",
        true,
        b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":\"1\",\"memo\":\"x\"}\n",
        "unknown field `memo`",
    ),
    (
        "a field twice",
        true,
        b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":\"1\",\"amount\":\"2\"}\n",
        "duplicate field `amount`",
    ),
    ("an id that is a number", true, b"{\"id\":7,\"address\":\"GOOD\",\"amount\":\"1\"}\n", "expected a string"),
    ("an address that is null", true, b"{\"id\":\"a\",\"address\":null,\"amount\":\"1\"}\n", "invalid type: null"),
    ("an amount that is null", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":null}\n", "the amount is null"),
    ("an amount that is a truth", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":true}\n", "the amount is true"),
    ("an amount that is a list", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":[1]}\n", "the amount is [1]"),
    ("a number with an exponent", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":1e1}\n", "it has an exponent"),
    ("a number without end", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":1e400}\n", "it has an exponent"),
    ("a negative number", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":-1}\n", "must be above zero"),
    ("negative zero as a number", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":-0}\n", "must be above zero"),
    (
        "a number with too many decimals",
        true,
        b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":0.123456789}\n",
        "more than 8 decimals",
    ),
    ("a number that JSON has not", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":NaN}\n", "expected value"),
    ("a number with a zero before it", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":01}\n", "invalid number"),
    (
        "a priority that is a number",
        true,
        b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":\"1\",\"priority\":1}\n",
        "expected a string",
    ),
    ("a comma too many", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":\"1\",}\n", "trailing comma"),
    ("two objects on a line", true, b"{\"id\":\"a\",\"address\":\"GOOD\",\"amount\":\"1\"}{}\n", "trailing characters"),
    ("half a letter", true, b"{\"id\":\"\\ud800\",\"address\":\"GOOD\",\"amount\":\"1\"}\n", "hex escape"),
    (
        "an object that goes on in the next line",
        true,
        b"{\"id\":\"a\",\n\"address\":\"GOOD\",\"amount\":\"1\"}\n",
        "EOF while parsing",
    ),
];

/// Amounts of a coin with 6 decimals: what is wrong, the amount, words of the refusal.
pub(crate) const OF_SIX_DECIMALS: &[(&str, &str, &str)] = &[
    ("eight decimals, as other coins have", "0.12345678", "more than 6 decimals"),
    ("seven decimals", "1.0000001", "more than 6 decimals"),
    ("seven decimals, though the last is zero", "1.0000010", "more than 6 decimals"),
    ("the least unit of other coins, which one daemon pays as nothing", "0.00000001", "more than 6 decimals"),
];
