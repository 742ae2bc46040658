//! `chancery transit`: encrypt, sign and authenticate with keys that nobody is shown. Each batch is an entry of the log.

use clap::{Parser, Subcommand};

mod input;
mod key;
mod sealing;
mod signing;

use self::key::Key;
use self::sealing::{DataKey, Drawn, Opening, Sealing};
use self::signing::{Checked, Signed};
use crate::Global;
use crate::failure::Failure;

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Keys: make, list, show, rotate, bound, trim and destroy them
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(Key),
    /// Encrypt a file or standard input
    #[command(after_help = SEALING)]
    Encrypt(Sealing),
    /// Decrypt what was encrypted
    #[command(after_help = SEALING)]
    Decrypt(Opening),
    /// Seal anew under the newest version, and see nothing of it
    #[command(after_help = SEALING)]
    Rewrap(Opening),
    /// Draw a key to encrypt with on your own, and seal it
    #[command(after_help = DATA_KEY)]
    DataKey(DataKey),
    /// Sign a file or standard input, or make an HMAC of it, as the key's kind is
    #[command(visible_alias = "hmac", after_help = SIGNING)]
    Sign(Signed),
    /// Hold a signature or an HMAC against a file or standard input
    #[command(after_help = SIGNING)]
    Verify(Checked),
    /// Draw random bytes
    Random(Drawn),
}

const SEALING: &str = "\
Examples:
  chancery transit encrypt payments card.json > card.chy
  chancery transit decrypt payments card.chy > card.json
  cut -f3 cards.tsv | chancery transit encrypt payments --lines > sealed
  chancery transit rewrap payments sealed > sealed.new
  chancery transit encrypt tenants note --context tenant-7 --bind row-12

With --lines each line is one, in batches of 1000: one entry of the log each. Lines stay where they \
stand: of one that comes to nothing there is an empty line, and in `rewrap` the text as it was; \
which they are is said at the end, and the exit is 1. One that is not of lines has at most 1 MiB.";

const DATA_KEY: &str = "\
Examples:
  chancery transit data-key backups --out key.bin > key.chy
  chancery transit decrypt backups key.chy > key.bin

Keep the sealed key beside what you encrypt, and the other nowhere.";

const SIGNING: &str = "\
Examples:
  sha256sum app.tar > SHA256SUMS
  chancery transit sign releases SHA256SUMS > SHA256SUMS.sig
  chancery transit verify releases SHA256SUMS --signature-file SHA256SUMS.sig
  chancery transit hmac sessions cookie.txt

What is signed has at most 1 MiB: of a longer file sign the digest, as above. For code that others \
run, `chancery sign` has keys that never leave the HSM.";

/// Runs `chancery transit`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    match args.what {
        What::Key(what) => key::run(what, &client, global).await,
        What::Encrypt(args) => sealing::encrypt(args, &client, global).await,
        What::Decrypt(args) => sealing::decrypt(args, &client, global).await,
        What::Rewrap(args) => sealing::rewrap(args, &client, global).await,
        What::DataKey(args) => sealing::data_key(args, &client, global).await,
        What::Sign(args) => signing::sign(args, &client, global).await,
        What::Verify(args) => signing::verify(args, &client, global).await,
        What::Random(args) => sealing::random(args, &client, global).await,
    }
}
