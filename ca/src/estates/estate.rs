//! What was gathered, judged: one value, the same whatever it was read from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use policy::Timestamp;

use crate::encode::{pem, sha256};
use crate::estates::CERTIFICATES_MAX;
use crate::estates::crl::{self, Refused};
use crate::estates::gathered::{Ended, Gathered, Left, Told};
use crate::estates::leaf::{Facts, OWN};
use crate::estates::reading::Unreadable;
use crate::estates::words;
use crate::issuers::CaCertificate;

/// A certificate that may be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Where it stands in the source.
    pub place: String,
    /// As another program signed it.
    pub der: Vec<u8>,
    /// As an unsigned number.
    pub serial: Vec<u8>,
    /// How it ended.
    pub end: Option<Ended>,
}

/// Everything that can be taken from a CA, and what cannot.
#[derive(Clone, Debug)]
pub struct Estate {
    /// Where it was read.
    pub source: String,
    /// SHA-256 over what is taken: the same source again has the same.
    pub sha256: [u8; 32],
    /// The CA's certificate and those above it, PEM.
    pub chain_pem: String,
    /// The CA's subject, for people.
    pub subject: String,
    /// In the order of their serials.
    pub certificates: Vec<Taken>,
    /// Revoked, and no certificate of them is there.
    pub unseen: Vec<Told>,
    /// The number of the newest CRL.
    pub crl_number: Option<u64>,
    /// Where numbers stand, and which.
    pub numbers: Vec<(String, u64)>,
    /// What is not taken in, and why.
    pub left: Vec<Left>,
    /// CRLs of which nothing can be read: what they alone list would come as good, so that nothing is taken, whatever else is left.
    pub hinders: Vec<Left>,
    /// What is worth knowing, and hinders nothing.
    pub notes: Vec<String>,
    /// Where its certificates say that CRLs and OCSP answers are, and how many say so.
    pub urls: BTreeMap<String, u64>,
}

impl Estate {
    /// Judges what was gathered.
    pub fn of(mut gathered: Gathered) -> Result<Estate, Unreadable> {
        if gathered.certificates.len() > CERTIFICATES_MAX {
            return Err(Unreadable(format!("more than {CERTIFICATES_MAX} certificates are in it")));
        }
        let ca = authority(&gathered)?;
        let (mut left, mut notes) = (std::mem::take(&mut gathered.left), std::mem::take(&mut gathered.notes));
        let Certificates { taken: certificates, urls, until, by_serial } = certificates(&mut gathered, &ca, &mut left);
        if by_serial > 0 {
            notes.push(format!(
                "{by_serial} certificates name the CA's certificate by its serial (authorityKeyIdentifier with issuer): openssl takes none of \
                 them below a renewed one, so let them end before `chancery ca renew`"
            ));
        }
        let mut ends: HashMap<Vec<u8>, Told> = HashMap::new();
        for told in std::mem::take(&mut gathered.revoked) {
            let told = known_reason(told, &mut notes);
            ends.entry(told.serial.clone()).or_insert(told);
        }
        let mut numbers = std::mem::take(&mut gathered.numbers);
        let mut crls = Vec::new();
        let mut hinders = std::mem::take(&mut gathered.unread);
        for (place, der) in &gathered.crls {
            match crl::read(der, &ca) {
                Ok(mut listed) => {
                    numbers.extend(listed.number.map(|number| (place.clone(), number)));
                    left.extend(listed.left.drain(..).map(|why| Left { place: place.clone(), why }));
                    if listed.is_part {
                        notes.push(format!("{place}: lists a part or what came since another CRL; its number counts"));
                    }
                    crls.push((place.clone(), listed));
                }
                Err(Refused::Foreign(why)) => left.push(Left { place: place.clone(), why }),
                Err(Refused::Doubtful(why, serials)) => {
                    left.push(Left { place: place.clone(), why });
                    gathered.doubtful.extend(serials.into_iter().map(|serial| (place.clone(), serial)));
                }
                Err(Refused::Unreadable(why)) => hinders.push(Left { place: place.clone(), why }),
            }
        }
        for (told, this_update) in words::last(crls, &until, &mut notes) {
            compare(told, &mut ends, &mut notes, this_update);
        }
        // Of a row and of the CRL in it, once.
        let mut seen = HashSet::new();
        numbers.retain(|number| seen.insert(number.clone()));
        let (mut certificates, ends) = with_ends(certificates, ends);
        // Where a CRL tells of it, that says how it ended. Else nobody knows, and good it is not.
        let doubtful: HashMap<Vec<u8>, String> =
            std::mem::take(&mut gathered.doubtful).into_iter().map(|(place, serial)| (serial, place)).collect();
        certificates.retain(|taken| match doubtful.get(&taken.serial) {
            Some(place) if taken.end.is_none() => {
                let why = format!("is left, since it may be revoked: {place} tells of it, and cannot be gone by");
                left.push(Left { place: taken.place.clone(), why });
                false
            }
            Some(_) | None => true,
        });
        let known: HashSet<&[u8]> = certificates.iter().map(|taken| taken.serial.as_slice()).collect();
        let own = crate::estates::reading::unsigned(&ca.serial);
        for (place, serial) in gathered.bare {
            let is_told =
                known.contains(serial.as_slice()) || ends.contains_key(&serial) || doubtful.contains_key(&serial);
            if !is_told && serial != own {
                let why =
                    format!("of serial {} no certificate is there: only that there was one", hex::encode(&serial));
                left.push(Left { place, why });
            }
        }
        let mut unseen: Vec<Told> = ends.into_values().collect();
        unseen.sort_by(|a, b| a.serial.cmp(&b.serial));
        let crl_number = numbers.iter().map(|(_, number)| *number).max();
        let chain_pem: String = gathered.authorities.iter().map(|der| pem::encode("CERTIFICATE", der)).collect();
        Ok(Estate {
            sha256: digest(&ca, &certificates, &unseen, crl_number),
            source: gathered.source,
            chain_pem,
            subject: ca.subject.to_string(),
            certificates,
            unseen,
            crl_number,
            numbers,
            left,
            hinders,
            notes,
            urls,
        })
    }

    /// How many of its certificates are revoked, those of which only the serial is known too.
    pub fn revoked(&self) -> usize {
        self.certificates.iter().filter(|taken| taken.end.is_some()).count() + self.unseen.len()
    }

    /// The highest serial.
    pub fn highest(&self) -> Option<&[u8]> {
        let all = self.certificates.iter().map(|taken| taken.serial.as_slice());
        all.chain(self.unseen.iter().map(|told| told.serial.as_slice())).max_by_key(|serial| (serial.len(), *serial))
    }
}

/// The CA whose certificates these are: the first that was found.
fn authority(gathered: &Gathered) -> Result<Arc<CaCertificate>, Unreadable> {
    let none = "there is no certificate of the CA itself in it: name it with --chain";
    let der = gathered.authorities.first().ok_or_else(|| Unreadable(none.to_owned()))?;
    let read = CaCertificate::read(None, der.clone());
    Ok(Arc::new(read.map_err(|why| Unreadable(format!("the CA's certificate {why}")))?))
}

/// What came of the certificates.
struct Certificates {
    taken: Vec<Taken>,
    urls: BTreeMap<String, u64>,
    /// When each ends, by its serial.
    until: HashMap<Vec<u8>, Timestamp>,
    /// How many name the CA's certificate by the serial of that.
    by_serial: usize,
}

fn certificates(gathered: &mut Gathered, ca: &CaCertificate, left: &mut Vec<Left>) -> Certificates {
    let (mut taken, mut urls) = (BTreeMap::<Vec<u8>, Taken>::new(), BTreeMap::new());
    let (mut until, mut by_serial) = (HashMap::new(), 0);
    let mut twice: HashSet<Vec<u8>> = HashSet::new();
    for (place, der) in std::mem::take(&mut gathered.certificates) {
        let facts = match Facts::read(&der, ca) {
            Ok(facts) => facts,
            Err(why) if why == OWN => continue,
            Err(why) => {
                left.push(Left { place, why });
                continue;
            }
        };
        match taken.get(&facts.serial) {
            Some(there) if there.der == der => continue,
            // RFC 5280 section 4.1.2.2: one CA gives a serial once. Which of the two a CRL would mean, nobody could say.
            Some(there) => {
                let serial = hex::encode(&facts.serial);
                let why = format!(
                    "has the serial {serial} of {}, which is another certificate: neither is taken",
                    there.place
                );
                left.push(Left { place, why });
                twice.insert(facts.serial);
                continue;
            }
            None => {}
        }
        for url in facts.urls {
            *urls.entry(url).or_insert(0) += 1;
        }
        until.insert(facts.serial.clone(), facts.validity.not_after());
        by_serial += usize::from(facts.names_by_serial);
        taken.insert(facts.serial.clone(), Taken { place, der, serial: facts.serial, end: None });
    }
    taken.retain(|serial, _| !twice.contains(serial));
    Certificates { taken: taken.into_values().collect(), urls, until, by_serial }
}

/// Told with a reason that a certificate can keep: that it is revoked counts, whatever was written as the reason.
fn known_reason(mut told: Told, notes: &mut Vec<String>) -> Told {
    if !matches!(told.end.reason, 0..=6 | 9 | 10) {
        let says = "is none that a certificate keeps; it comes as unspecified";
        notes.push(format!("{}: serial {}: its reason {says}", told.place, hex::encode(&told.serial)));
        told.end.reason = 0;
    }
    told
}

/// An entry of a CRL, beside what the source itself says.
fn compare(told: Told, ends: &mut HashMap<Vec<u8>, Told>, notes: &mut Vec<String>, this_update: Timestamp) {
    let serial = hex::encode(&told.serial);
    let told = known_reason(told, notes);
    match ends.get(&told.serial) {
        Some(there) if there.end == told.end => {}
        // What the CA's own books say is newer than a CRL, unless the CRL is the only witness.
        Some(there) => notes.push(format!(
            "serial {serial}: {} says revoked at {} for reason {}, {} of {this_update} says {} and {}; the former counts",
            there.place, there.end.at, there.end.reason, told.place, told.end.at, told.end.reason
        )),
        None => {
            notes.push(format!("serial {serial}: revoked by {} alone", told.place));
            ends.insert(told.serial.clone(), told);
        }
    }
}

/// Puts ends and certificates together; what is left has no certificate.
fn with_ends(mut taken: Vec<Taken>, mut ends: HashMap<Vec<u8>, Told>) -> (Vec<Taken>, HashMap<Vec<u8>, Told>) {
    for one in &mut taken {
        one.end = ends.remove(&one.serial).map(|told| told.end);
    }
    (taken, ends)
}

fn digest(ca: &CaCertificate, taken: &[Taken], unseen: &[Told], number: Option<u64>) -> [u8; 32] {
    let mut text = format!("chancery estate 1\n{}\n", hex::encode(sha256(&ca.der)));
    let mut line = |what: &str, name: String, end: Option<&Ended>| {
        let end = end.map_or(String::new(), |end| {
            let invalid = end.invalid.map_or_else(|| "-".to_owned(), |at| at.unix().to_string());
            format!(" {} {} {invalid}", end.at.unix(), end.reason)
        });
        text.push_str(&format!("{what} {name}{end}\n"));
    };
    for one in taken {
        line("certificate", hex::encode(sha256(&one.der)), one.end.as_ref());
    }
    for told in unseen {
        line("serial", hex::encode(&told.serial), Some(&told.end));
    }
    text.push_str(&format!("crl {}\n", number.map_or_else(|| "-".to_owned(), |n| n.to_string())));
    sha256(text.as_bytes())
}
