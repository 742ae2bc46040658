//! A PKCS#11 module that stands before SoftHSM and injects faults, for tests of this crate and of the built binary.
//!
//! It answers `C_GetFunctionList` with SoftHSM's own list, but for the functions it tampers with. In the directory that
//! `PKCS11_SHIM_DIR` names (that of `SOFTHSM2_CONF`, where it is not set) the file `fault` holds one fault per line, read
//! at each call; each call of a function that matters becomes a line in `calls`. Faults:
//!
//! | line | what happens |
//! |---|---|
//! | `sign-init CODE` | `C_SignInit` answers CODE (hexadecimal) |
//! | `sign-init-once CODE` | the same, once |
//! | `close-idle` | once: all sessions are closed before `C_SignInit`, as a token does that lets none idle |
//! | `sign CODE` | `C_Sign` answers CODE and does not sign |
//! | `sign-then CODE` | `C_Sign` signs, then answers CODE |
//! | `sign-wrong` | one bit of each signature is flipped |
//! | `sign-slow MS` | `C_Sign` takes so long |
//! | `after N` | the faults of `C_SignInit` and `C_Sign` begin after so many calls of `C_SignInit` |
//! | `login CODE` | `C_Login` answers CODE |
//! | `create CODE` | `C_CreateObject` answers CODE |
//! | `set CODE` | `C_SetAttributeValue` answers CODE |
//! | `hashing-only` | raw mechanisms are hidden, CKM_ECDSA_SHA256 and CKM_SHA256_RSA_PKCS shown and done |
//! | `bare-point` | CKA_EC_POINT comes without its OCTET STRING |
#![allow(non_snake_case, clippy::missing_safety_doc)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use cryptoki_sys::*;
use ring::digest::{SHA256, digest};

struct Behind {
    list: CK_FUNCTION_LIST,
    _library: Pkcs11,
}

static BEHIND: OnceLock<Option<Behind>> = OnceLock::new();
static OURS: OnceLock<usize> = OnceLock::new();
/// Sessions whose signature is to be hashed first.
static HASHING: Mutex<Vec<CK_SESSION_HANDLE>> = Mutex::new(Vec::new());

fn behind() -> Option<&'static CK_FUNCTION_LIST> {
    let load = || {
        let path = std::env::var("PKCS11_SHIM_MODULE").unwrap_or("/usr/lib/softhsm/libsofthsm2.so".into());
        // SAFETY: SoftHSM is a PKCS#11 module; its function list is static and it is never unloaded.
        unsafe {
            let library = Pkcs11::new(path).ok()?;
            let mut list = std::ptr::null_mut();
            (library.C_GetFunctionList(&mut list) == CKR_OK).then_some(())?;
            Some(Behind { list: *list, _library: library })
        }
    };
    BEHIND.get_or_init(load).as_ref().map(|b| &b.list)
}

/// Calls the function of SoftHSM.
macro_rules! pass {
    ($name:ident($($argument:expr),*)) => {
        match behind().and_then(|list| list.$name) {
            // SAFETY: the arguments are the caller's, as it gave them.
            Some(function) => unsafe { function($($argument),*) },
            None => CKR_GENERAL_ERROR,
        }
    };
}

fn directory() -> Option<PathBuf> {
    let beside_conf = || Some(PathBuf::from(std::env::var_os("SOFTHSM2_CONF")?).parent()?.to_owned());
    std::env::var_os("PKCS11_SHIM_DIR").map(PathBuf::from).or_else(beside_conf)
}

fn note(call: &str) {
    let Some(path) = directory().map(|d| d.join("calls")) else { return };
    if let Ok(mut file) = fs::OpenOptions::new().append(true).create(true).open(path) {
        let _ = file.write_all(format!("{call}\n").as_bytes());
    }
}

/// The argument of a fault that is switched on.
fn fault(name: &str) -> Option<String> {
    let text = fs::read_to_string(directory()?.join("fault")).ok()?;
    text.lines().find_map(|line| match line.split_once(' ') {
        Some((is, argument)) if is == name => Some(argument.to_owned()),
        None if line == name => Some(String::new()),
        _ => None,
    })
}

/// A fault of a function that signs, once its time has come.
fn fault_of_signing(name: &str) -> Option<String> {
    let calls = || fs::read_to_string(directory()?.join("calls")).ok();
    let begun = || calls().map_or(0, |calls| calls.lines().filter(|call| *call == "C_SignInit").count());
    let is_early = fault("after").and_then(|n| n.parse().ok()).is_some_and(|n: usize| begun() <= n);
    fault(name).filter(|_| !is_early)
}

fn code(name: &str) -> Option<CK_RV> {
    let is_of_signing = name.starts_with("sign");
    let there = if is_of_signing { fault_of_signing(name) } else { fault(name) };
    there.and_then(|hex| CK_RV::from_str_radix(&hex, 16).ok())
}

fn hashing() -> std::sync::MutexGuard<'static, Vec<CK_SESSION_HANDLE>> {
    HASHING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

unsafe extern "C" fn C_Login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut u8, len: CK_ULONG) -> CK_RV {
    note("C_Login");
    match code("login") {
        Some(rv) => rv,
        None => pass!(C_Login(session, user, pin, len)),
    }
}

unsafe extern "C" fn C_Initialize(args: *mut std::ffi::c_void) -> CK_RV {
    note("C_Initialize");
    pass!(C_Initialize(args))
}

unsafe extern "C" fn C_FindObjectsInit(
    session: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    note("C_FindObjectsInit");
    pass!(C_FindObjectsInit(session, template, count))
}

unsafe extern "C" fn C_SignInit(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    note("C_SignInit");
    if let Some(rv) = code("sign-init") {
        return rv;
    }
    if let Some(rv) = code("sign-init-once") {
        if let Some(directory) = directory() {
            let _ = fs::remove_file(directory.join("fault"));
        }
        return rv;
    }
    if let (Some(_), Some(directory)) = (fault("close-idle"), directory()) {
        let mut about = CK_SESSION_INFO::default();
        // A session that an earlier fault closed tells nothing of its slot: the fault waits for a living one.
        if pass!(C_GetSessionInfo(session, &mut about)) == CKR_OK {
            let _ = fs::remove_file(directory.join("fault"));
            note("closed");
            let _ = pass!(C_CloseAllSessions(about.slotID));
        }
    }
    // SAFETY: the caller gives a mechanism, as the standard says.
    let mut asked = unsafe { *mechanism };
    hashing().retain(|s| *s != session);
    if fault("hashing-only").is_some() {
        if asked.mechanism != CKM_ECDSA_SHA256 {
            return CKR_MECHANISM_INVALID;
        }
        hashing().push(session);
        asked.mechanism = CKM_ECDSA;
    }
    pass!(C_SignInit(session, &mut asked, key))
}

unsafe extern "C" fn C_Sign(
    session: CK_SESSION_HANDLE,
    data: *mut u8,
    len: CK_ULONG,
    signature: *mut u8,
    signature_len: *mut CK_ULONG,
) -> CK_RV {
    note("C_Sign");
    if let Some(rv) = code("sign") {
        return rv;
    }
    if let Some(ms) = fault_of_signing("sign-slow").and_then(|ms| ms.parse().ok()) {
        std::thread::sleep(Duration::from_millis(ms));
    }
    let rv = if hashing().contains(&session) {
        // SAFETY: the caller gives `len` bytes, as the standard says.
        let message = unsafe { std::slice::from_raw_parts(data, len as usize) };
        let mut hashed = digest(&SHA256, message).as_ref().to_vec();
        pass!(C_Sign(session, hashed.as_mut_ptr(), 32, signature, signature_len))
    } else {
        pass!(C_Sign(session, data, len, signature, signature_len))
    };
    note("signed");
    if fault_of_signing("sign-wrong").is_some() && rv == CKR_OK && !signature.is_null() {
        // SAFETY: SoftHSM wrote at least a byte there.
        unsafe { *signature.add(7) ^= 1 };
    }
    code("sign-then").unwrap_or(rv)
}

unsafe extern "C" fn C_CreateObject(
    session: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    object: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    match code("create") {
        Some(rv) => rv,
        None => pass!(C_CreateObject(session, template, count, object)),
    }
}

unsafe extern "C" fn C_SetAttributeValue(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    match code("set") {
        Some(rv) => rv,
        None => pass!(C_SetAttributeValue(session, object, template, count)),
    }
}

unsafe extern "C" fn C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG) -> CK_RV {
    let rv = pass!(C_GetMechanismList(slot, list, count));
    if rv == CKR_OK && !list.is_null() && fault("hashing-only").is_some() {
        // SAFETY: SoftHSM wrote `count` mechanisms there.
        let mechanisms = unsafe { std::slice::from_raw_parts_mut(list, *count as usize) };
        for mechanism in mechanisms {
            match *mechanism {
                CKM_ECDSA => *mechanism = CKM_ECDSA_SHA256,
                CKM_RSA_PKCS | CKM_EDDSA => *mechanism = CKM_SHA256,
                _ => {}
            }
        }
    }
    rv
}

unsafe extern "C" fn C_GetMechanismInfo(
    slot: CK_SLOT_ID,
    mechanism: CK_MECHANISM_TYPE,
    info: *mut CK_MECHANISM_INFO,
) -> CK_RV {
    let asked = if mechanism == CKM_ECDSA_SHA256 { CKM_ECDSA } else { mechanism };
    pass!(C_GetMechanismInfo(slot, asked, info))
}

unsafe extern "C" fn C_GetAttributeValue(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    let rv = pass!(C_GetAttributeValue(session, object, template, count));
    if rv == CKR_OK || rv == CKR_ATTRIBUTE_TYPE_INVALID {
        // SAFETY: the caller gives `count` attributes, as the standard says.
        let attributes = unsafe { std::slice::from_raw_parts_mut(template, count as usize) };
        for attribute in attributes {
            let whole = !attribute.pValue.is_null() && attribute.ulValueLen == 67;
            if attribute.type_ == CKA_EC_POINT && whole && fault("bare-point").is_some() {
                // SAFETY: 67 bytes were written there: 04 41, then the point.
                unsafe { std::ptr::copy(attribute.pValue.cast::<u8>().add(2), attribute.pValue.cast(), 65) };
                attribute.ulValueLen = 65;
            }
        }
    }
    rv
}

/// The entry point of the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    let Some(behind) = behind() else { return CKR_GENERAL_ERROR };
    let ours = OURS.get_or_init(|| {
        let ours = CK_FUNCTION_LIST {
            C_Initialize: Some(C_Initialize),
            C_Login: Some(C_Login),
            C_FindObjectsInit: Some(C_FindObjectsInit),
            C_SignInit: Some(C_SignInit),
            C_Sign: Some(C_Sign),
            C_CreateObject: Some(C_CreateObject),
            C_SetAttributeValue: Some(C_SetAttributeValue),
            C_GetMechanismList: Some(C_GetMechanismList),
            C_GetMechanismInfo: Some(C_GetMechanismInfo),
            C_GetAttributeValue: Some(C_GetAttributeValue),
            ..*behind
        };
        Box::leak(Box::new(ours)) as *mut CK_FUNCTION_LIST as usize
    });
    // SAFETY: the caller gives room for a pointer, as the standard says.
    unsafe { *list = *ours as *mut CK_FUNCTION_LIST };
    CKR_OK
}
