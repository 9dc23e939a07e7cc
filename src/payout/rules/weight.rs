//! How large a transaction of our own composing will be once it is signed: from the locking scripts of its coins, exactly.
//!
//! Weights count a byte of witness once and every other byte four times (BIP 141); a virtual byte is four of them. Where a coin's fees are
//! asked for whole bytes, bytes of witness count four times, too.

/// Weight of a virtual byte.
pub(super) const WEIGHT_OF_A_BYTE: u64 = 4;
/// Outpoint and sequence number.
const OUTPOINT_BYTES: u64 = 36 + 4;
/// A signature in DER with its kind. Wallets since 0.17 make 71 by trying again; older ones also 72: a transaction that is a byte
/// smaller than it paid for is relayed, one that is a byte larger at the lowest rate is not.
const SIGNATURE_BYTES: u64 = 72;
/// A compressed public key.
const KEY_BYTES: u64 = 33;
/// What signature and key take with their two lengths.
const SIGNATURE_AND_KEY_BYTES: u64 = 1 + SIGNATURE_BYTES + 1 + KEY_BYTES;
/// Marker and flag of a transaction with a witness.
const WITNESS_MARK_BYTES: u64 = 2;
/// Version, lock height.
const HEADER_BYTES: u64 = 4 + 4;
/// The time that transactions of older proof-of-stake daemons carry.
pub const TIME_BYTES: u64 = 4;
/// A locking script that pays to a key's hash: the longest that wallets use for change, besides taproot.
pub const USUAL_CHANGE_SCRIPT_BYTES: u64 = 25;

/// What a byte of witness counts where fees are reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The coin has no segwit.
    Absent,
    /// A quarter (BIP 141).
    Discounted,
    /// As much as any other: Peercoin's consensus asks its fee for the bytes of the whole transaction (`GetMinFee` in
    /// consensus/tx_verify.cpp).
    Whole,
}

impl Witness {
    const fn byte_weight(self) -> u64 {
        match self {
            Witness::Absent | Witness::Discounted => 1,
            Witness::Whole => WEIGHT_OF_A_BYTE,
        }
    }
}

/// What a signed input takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSize {
    /// Its weight, witness included.
    pub weight: u64,
    /// Whether it has a witness.
    pub witness: bool,
}

impl InputSize {
    const fn plain(unlocking_bytes: u64) -> InputSize {
        // All of these scripts are shorter than 253 bytes: their length takes one.
        InputSize { weight: WEIGHT_OF_A_BYTE * (OUTPOINT_BYTES + 1 + unlocking_bytes), witness: false }
    }

    const fn with_witness(unlocking_bytes: u64, witness_bytes: u64, witness: Witness) -> InputSize {
        let plain = InputSize::plain(unlocking_bytes);
        InputSize { weight: plain.weight + (1 + witness_bytes) * witness.byte_weight(), witness: true }
    }
}

/// What it takes to spend a coin with this locking script in hex; none where that cannot be told from the script.
///
/// A hash of a script is taken as nested segwit, which is what wallets make, where the coin has segwit at all.
pub fn input_size(script_hex: &str, witness: Witness) -> Option<InputSize> {
    let between = |start: &str, end: &str, bytes: usize| {
        script_hex.len() == start.len() + 2 * bytes + end.len() && script_hex.starts_with(start) && script_hex.ends_with(end)
    };
    if between("76a914", "88ac", 20) {
        Some(InputSize::plain(SIGNATURE_AND_KEY_BYTES))
    } else if between("21", "ac", 33) || between("41", "ac", 65) {
        Some(InputSize::plain(1 + SIGNATURE_BYTES))
    } else if witness == Witness::Absent {
        None
    } else if between("0014", "", 20) {
        Some(InputSize::with_witness(0, SIGNATURE_AND_KEY_BYTES, witness))
    } else if between("a914", "87", 20) {
        Some(InputSize::with_witness(23, SIGNATURE_AND_KEY_BYTES, witness))
    } else if between("5120", "", 32) {
        Some(InputSize::with_witness(0, 1 + 64, witness))
    } else {
        None
    }
}

/// Whether a hash of this script is the nested segwit that `input_size` takes it for. What spends a multisig of the wallet is larger, and would
/// pay too little for its size.
pub fn is_nested_key(redeem_hex: &str) -> bool {
    redeem_hex.len() == 2 * 22 && redeem_hex.starts_with("0014")
}

/// How many bytes it takes to write a count.
pub(super) const fn count_bytes(count: u64) -> u64 {
    match count {
        0..=252 => 1,
        253..=65_535 => 3,
        _ => 5,
    }
}

/// Weight of an output with a locking script of so many bytes.
pub const fn output_weight(script_bytes: u64) -> u64 {
    WEIGHT_OF_A_BYTE * (8 + count_bytes(script_bytes) + script_bytes)
}

/// What a transaction is made of, as far as its size goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    witness: Witness,
    inputs: u64,
    with_witness: u64,
    outputs: u64,
    weight: u64,
}

impl Shape {
    /// An empty transaction, with so many bytes that are this coin's own.
    pub fn new(further_bytes: u64, witness: Witness) -> Shape {
        let weight = WEIGHT_OF_A_BYTE * (HEADER_BYTES + further_bytes);
        Shape { witness, inputs: 0, with_witness: 0, outputs: 0, weight }
    }

    /// With one more input.
    pub fn with_input(self, size: InputSize) -> Shape {
        let with_witness = self.with_witness + u64::from(size.witness);
        Shape { inputs: self.inputs + 1, with_witness, weight: self.weight + size.weight, ..self }
    }

    /// With one more output.
    pub fn with_output(self, script_bytes: u64) -> Shape {
        Shape { outputs: self.outputs + 1, weight: self.weight + output_weight(script_bytes), ..self }
    }

    /// What marks a witness, and what an input without one takes beside those with one.
    pub(super) const fn witness_weights(self) -> (u64, u64) {
        (WITNESS_MARK_BYTES * self.witness.byte_weight(), self.witness.byte_weight())
    }

    /// Virtual bytes once signed; all bytes where the fee is asked for those.
    pub fn vbytes(self) -> u64 {
        let counts = WEIGHT_OF_A_BYTE * (count_bytes(self.inputs) + count_bytes(self.outputs));
        // Beside inputs with a witness, each of the others has an empty one, whose length is written.
        let (mark, empty) = self.witness_weights();
        let witness = if self.with_witness > 0 { mark + empty * (self.inputs - self.with_witness) } else { 0 };
        (self.weight + counts + witness).div_ceil(WEIGHT_OF_A_BYTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P2PKH: &str = "76a914000000000000000000000000000000000000000088ac";
    const P2WPKH: &str = "00140000000000000000000000000000000000000000";
    const P2SH: &str = "a914000000000000000000000000000000000000000087";

    fn vbytes(inputs: &[&str], outputs: &[u64]) -> u64 {
        counted(inputs, outputs, Witness::Discounted)
    }

    fn counted(inputs: &[&str], outputs: &[u64], witness: Witness) -> u64 {
        let inputs = inputs.iter().map(|script| input_size(script, witness).unwrap());
        let shape = inputs.fold(Shape::new(0, witness), Shape::with_input);
        outputs.iter().fold(shape, |shape, bytes| shape.with_output(*bytes)).vbytes()
    }

    #[test]
    fn where_fees_are_asked_for_whole_bytes_a_witness_is_counted_in_full() {
        // Version, marks, counts, outpoint and sequence, no script, one output, the witness of one key, lock height.
        let bytes = 4 + 2 + 1 + (36 + 4 + 1) + 1 + (8 + 1 + 22) + (1 + 1 + 72 + 1 + 33) + 4;
        assert_eq!(counted(&[P2WPKH], &[22], Witness::Whole), bytes);
        // An input without a witness tells so by one byte more.
        assert_eq!(counted(&[P2WPKH, P2PKH], &[22], Witness::Whole), bytes + 36 + 4 + 1 + 1 + 72 + 1 + 33 + 1);
        assert_eq!(counted(&[P2PKH], &[25], Witness::Whole), counted(&[P2PKH], &[25], Witness::Absent));
    }

    #[test]
    fn sizes_are_those_of_real_transactions() {
        // One byte of signature more than 0.17 and later make: 191, 110, 141, and 133.
        assert_eq!(vbytes(&[P2PKH], &[25]), 192);
        assert_eq!(vbytes(&[P2WPKH], &[22]), 110);
        assert_eq!(vbytes(&[P2WPKH], &[22, 22]), 141);
        assert_eq!(vbytes(&[P2SH], &[22]), 133);
        assert_eq!(vbytes(&[&format!("5120{}", "00".repeat(32))], &[34]), 111);
        // Seen on Litecoin 0.21: 100 payees by one coin, with change: 3210.
        assert_eq!(vbytes(&[P2WPKH], &[22; 101]), 3210);
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        assert_eq!(input_size(&format!("0020{}", "00".repeat(32)), Witness::Discounted), None);
        assert_eq!(input_size("", Witness::Discounted), None);
        // Witness programs of versions that no wallet signs: of MWEB's pegs among them.
        for version in ["52", "58", "59", "60"] {
            assert_eq!(input_size(&format!("{version}20{}", "00".repeat(32)), Witness::Discounted), None, "{version}");
        }
        assert_eq!(input_size(P2SH, Witness::Absent), None, "without segwit it is somebody's multisig");
        assert!(input_size(P2PKH, Witness::Absent).is_some());
    }
}
