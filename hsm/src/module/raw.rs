//! The one file with `unsafe` in it: `C_SignInit` and `C_Sign` called directly, and the C library's `atexit`.
//!
//! Why not cryptoki's `Session::sign`: it asks for the length first, which is a third module call and, on some network
//! HSMs, a third round trip (on SoftHSM it costs nothing that can be measured); and one call covers both steps,
//! while "before `C_Sign`" and "in `C_Sign`" is exactly the line between `NotSigned` and `Unknown`. A module that makes a table
//! for each caller is called through cryptoki's alone.
//!
//! The library stays loaded for the life of the process: unloading a C++ module while its thread-local state is alive is
//! a crash of its own, and finalize/initialize needs no unloading.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::path::Path;
use std::ptr;

use cryptoki::context::Function;
use cryptoki::error::{Error, Rv, RvError};
use cryptoki::mechanism::dsa::{HedgeType, SignAdditionalContext};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_FUNCTION_LIST, CK_MECHANISM, CK_OBJECT_HANDLE, CK_RSA_PKCS_PSS_PARAMS, CK_RV, CK_SESSION_HANDLE, CK_ULONG,
    CKG_MGF1_SHA256, CKM_SHA256, CKR_OK,
};

use crate::custody::forms::SIGNATURE_MAX;

unsafe extern "C" {
    /// POSIX: may be called at any time, from any thread; a function that cannot be registered is answered with non-zero.
    safe fn atexit(act: extern "C" fn()) -> c_int;
}

/// Has `act` called when the process exits, before what was registered earlier; whether it will be.
pub(crate) fn at_exit(act: extern "C" fn()) -> bool {
    atexit(act) == 0
}

type SignInit = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE) -> CK_RV;
type Sign = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut u8, CK_ULONG, *mut u8, *mut CK_ULONG) -> CK_RV;

/// How a loaded module is asked for a signature. The library is never unloaded.
pub(crate) struct Raw {
    /// None for a module that makes a table of its own at each call of `C_GetFunctionList`, as p11-kit's proxy does: whoever
    /// calls through another table than cryptoki's speaks to a module that was never initialised and knows no session of ours.
    table: Option<(SignInit, Sign)>,
    _library: cryptoki_sys::Pkcs11,
}

/// A signature whose message the token has not been shown yet.
pub(crate) enum Begun {
    /// `C_SignInit` was called.
    InTable,
    /// It is called together with `C_Sign`.
    Later(Mechanism<'static>, ObjectHandle),
}

/// Why there is no signature.
pub(crate) struct SignFault {
    /// What the module answered.
    pub(crate) rv: RvError,
    /// In `C_SignInit`: no message was given yet, and nothing was signed. Else nobody knows.
    pub(crate) is_unsigned: bool,
}

impl SignFault {
    /// Which call answered.
    pub(crate) fn function(&self) -> &'static str {
        if self.is_unsigned { "C_SignInit" } else { "C_Sign" }
    }
}

impl Raw {
    /// Loads the module (again: the loader hands out the one instance) and reads its function list.
    pub(crate) fn load(module: &Path) -> Result<Raw, String> {
        // SAFETY: loading runs the module's initialisers. The operator names the module, and trusts it with the keys.
        let library = unsafe { cryptoki_sys::Pkcs11::new(module) }
            .map_err(|e| format!("it cannot be loaded: {}", super::fault::loading(&e.to_string())))?;
        // cryptoki-sys panics when called through a symbol that is absent, hence the look before.
        if library.C_GetFunctionList.is_err() {
            return Err("it has no C_GetFunctionList: not a PKCS#11 module".into());
        }
        let (one, other) = (table(&library)?, table(&library)?);
        if !ptr::eq(one, other) {
            return Ok(Raw { table: None, _library: library });
        }
        // SAFETY: on CKR_OK the pointer is null or one to a static table of the module, which outlives `library`.
        let list = unsafe { one.as_ref() }.ok_or("C_GetFunctionList answered nothing")?;
        match (list.C_SignInit, list.C_Sign) {
            (Some(sign_init), Some(sign)) => Ok(Raw { table: Some((sign_init, sign)), _library: library }),
            _ => Err("it cannot sign".into()),
        }
    }

    /// Begins a signature. An error means that nothing was signed: no data was given yet.
    pub(crate) fn begin(
        &self,
        session: &Session,
        mechanism: MechanismType,
        key: ObjectHandle,
    ) -> Result<Begun, RvError> {
        let Some((sign_init, _)) = self.table else {
            return named(mechanism).map(|mechanism| Begun::Later(mechanism, key)).ok_or(RvError::MechanismInvalid);
        };
        let is_pss = matches!(mechanism, MechanismType::RSA_PKCS_PSS | MechanismType::SHA256_RSA_PKCS_PSS);
        let mut pss = PSS;
        let (parameter, parameter_len) = match is_pss {
            true => (ptr::from_mut(&mut pss).cast(), size_of::<CK_RSA_PKCS_PSS_PARAMS>() as CK_ULONG),
            false => (ptr::null_mut(), 0),
        };
        let mut mechanism =
            CK_MECHANISM { mechanism: *mechanism, pParameter: parameter, ulParameterLen: parameter_len };
        // SAFETY: `mechanism` and `pss` live through the call, and none of ours but PSS has a parameter (CKM_ML_DSA may go without:
        // pure, an empty context, PKCS#11 3.2); the module checks both handles. `Session` is not Sync: no other thread is in this
        // session.
        result(unsafe { sign_init(session.handle(), &mut mechanism, key.handle()) }).map(|()| Begun::InTable)
    }

    /// Whether a signature could begin: `C_SignInit`, in a session that is closed afterwards.
    pub(crate) fn would_begin(
        &self,
        session: &Session,
        mechanism: MechanismType,
        key: ObjectHandle,
    ) -> Result<(), RvError> {
        match self.begin(session, mechanism, key)? {
            Begun::InTable => Ok(()),
            Begun::Later(mechanism, key) => session.sign_init(&mechanism, key).map_err(rv),
        }
    }

    /// Signs what was begun.
    pub(crate) fn sign(&self, session: &Session, begun: &Begun, data: &[u8]) -> Result<Vec<u8>, SignFault> {
        match (begun, self.table) {
            (Begun::Later(mechanism, key), _) => session.sign(mechanism, *key, data).map_err(|error| SignFault {
                is_unsigned: matches!(error, Error::Pkcs11(_, Function::SignInit)),
                rv: rv(error),
            }),
            (Begun::InTable, Some((_, sign))) => {
                sign_in_table(sign, session, data).map_err(|rv| SignFault { rv, is_unsigned: false })
            }
            (Begun::InTable, None) => Err(SignFault { rv: RvError::OperationNotInitialized, is_unsigned: true }),
        }
    }
}

/// `C_Sign` into a buffer that holds any signature. An error says nothing about whether the token signed.
fn sign_in_table(sign: Sign, session: &Session, data: &[u8]) -> Result<Vec<u8>, RvError> {
    let mut out = vec![0_u8; SIGNATURE_MAX];
    let mut out_len = out.len() as CK_ULONG;
    // SAFETY: PKCS#11 takes `*mut` for input it does not write to. `out` has `out_len` bytes, and the module says in
    // `out_len` how many it wrote. `Session` is not Sync: no other thread is in this session.
    let rv = unsafe {
        sign(session.handle(), data.as_ptr().cast_mut(), data.len() as CK_ULONG, out.as_mut_ptr(), &mut out_len)
    };
    result(rv)?;
    out.truncate(out_len as usize);
    Ok(out)
}

/// The module's table of functions, as it answers now.
fn table(library: &cryptoki_sys::Pkcs11) -> Result<*const CK_FUNCTION_LIST, String> {
    let mut list = ptr::null_mut();
    // SAFETY: C_GetFunctionList may be called at any time, before C_Initialize too (PKCS#11 3.1 section 5.4.4), and
    // writes one pointer, for which `list` has room.
    match unsafe { library.C_GetFunctionList(&mut list) } {
        CKR_OK => Ok(list),
        rv => Err(format!("C_GetFunctionList answered {rv:#x}")),
    }
}

/// The one way in which PSS is used here: SHA-256, MGF1 with SHA-256, a salt as long as the digest.
const PSS: CK_RSA_PKCS_PSS_PARAMS =
    CK_RSA_PKCS_PSS_PARAMS { hashAlg: CKM_SHA256, mgf: CKG_MGF1_SHA256, sLen: PSS_SALT_BYTES };
const PSS_SALT_BYTES: CK_ULONG = 32;

fn pss() -> PkcsPssParams {
    PkcsPssParams {
        hash_alg: MechanismType::SHA256,
        mgf: PkcsMgfType::MGF1_SHA256,
        s_len: cryptoki::types::Ulong::from(PSS_SALT_BYTES),
    }
}

/// The mechanisms of ours, as cryptoki calls them.
fn named(mechanism: MechanismType) -> Option<Mechanism<'static>> {
    match mechanism {
        MechanismType::ECDSA => Some(Mechanism::Ecdsa),
        MechanismType::ECDSA_SHA256 => Some(Mechanism::EcdsaSha256),
        MechanismType::ECDSA_SHA384 => Some(Mechanism::EcdsaSha384),
        MechanismType::ECDSA_SHA512 => Some(Mechanism::EcdsaSha512),
        MechanismType::RSA_PKCS => Some(Mechanism::RsaPkcs),
        MechanismType::SHA256_RSA_PKCS => Some(Mechanism::Sha256RsaPkcs),
        MechanismType::RSA_PKCS_PSS => Some(Mechanism::RsaPkcsPss(pss())),
        MechanismType::SHA256_RSA_PKCS_PSS => Some(Mechanism::Sha256RsaPkcsPss(pss())),
        MechanismType::EDDSA => Some(Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure))),
        MechanismType::ML_DSA => Some(Mechanism::MlDsa(SignAdditionalContext::new(HedgeType::Preferred, None))),
        _ => None,
    }
}

/// What the module answered; where cryptoki did not get as far, a general error stands for it.
fn rv(error: Error) -> RvError {
    match error {
        Error::Pkcs11(rv, _) => rv,
        _ => RvError::GeneralError,
    }
}

fn result(rv: CK_RV) -> Result<(), RvError> {
    match Rv::from(rv) {
        Rv::Ok => Ok(()),
        Rv::Error(error) => Err(error),
    }
}
