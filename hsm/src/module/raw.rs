//! The one file with `unsafe` in it: `C_SignInit` and `C_Sign` called directly, and the C library's `atexit`.
//!
//! Why not cryptoki's `Session::sign`: it asks for the length first, which is a third module call and, on some network
//! HSMs, a third round trip (on SoftHSM it costs nothing that can be measured); and one error type covers both steps,
//! while "before `C_Sign`" and "in `C_Sign`" is exactly the line between `NotSigned` and `Unknown`.
//!
//! The library stays loaded for the life of the process: unloading a C++ module while its thread-local state is alive is
//! a crash of its own, and finalize/initialize needs no unloading.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::path::Path;
use std::ptr;

use cryptoki::error::{Rv, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::{CK_MECHANISM, CK_MECHANISM_TYPE, CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_ULONG, CKR_OK};

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

/// The two functions of a loaded module, and the module itself, never unloaded.
pub(crate) struct Raw {
    sign_init: SignInit,
    sign: Sign,
    _library: cryptoki_sys::Pkcs11,
}

impl Raw {
    /// Loads the module (again: the loader hands out the one instance) and reads its function list.
    pub(crate) fn load(module: &Path) -> Result<Raw, String> {
        // SAFETY: loading runs the module's initialisers. The operator names the module, and trusts it with the keys.
        let library = unsafe { cryptoki_sys::Pkcs11::new(module) }.map_err(|e| e.to_string())?;
        // cryptoki-sys panics when called through a symbol that is absent, hence the look before.
        if library.C_GetFunctionList.is_err() {
            return Err("it has no C_GetFunctionList: not a PKCS#11 module".into());
        }
        let mut list = ptr::null_mut();
        // SAFETY: C_GetFunctionList may be called at any time, before C_Initialize too (PKCS#11 3.1 section 5.4.4), and
        // writes one pointer, for which `list` has room.
        let rv = unsafe { library.C_GetFunctionList(&mut list) };
        if rv != CKR_OK {
            return Err(format!("C_GetFunctionList answered {rv:#x}"));
        }
        // SAFETY: on CKR_OK the pointer is null or one to a static table of the module, which outlives `library`.
        let list = unsafe { list.as_ref() }.ok_or("C_GetFunctionList answered nothing")?;
        match (list.C_SignInit, list.C_Sign) {
            (Some(sign_init), Some(sign)) => Ok(Raw { sign_init, sign, _library: library }),
            _ => Err("it cannot sign".into()),
        }
    }

    /// `C_SignInit`. An error means that nothing was signed: no data was given yet.
    pub(crate) fn sign_init(
        &self,
        session: &Session,
        mechanism: CK_MECHANISM_TYPE,
        key: ObjectHandle,
    ) -> Result<(), RvError> {
        let mut mechanism = CK_MECHANISM { mechanism, pParameter: ptr::null_mut(), ulParameterLen: 0 };
        // SAFETY: `mechanism` lives through the call, and none of ours has a parameter; the module checks both handles.
        // `Session` is not Sync: no other thread is in this session.
        result(unsafe { (self.sign_init)(session.handle(), &mut mechanism, key.handle()) })
    }

    /// `C_Sign` into a buffer that holds any signature. An error says nothing about whether the token signed.
    pub(crate) fn sign(&self, session: &Session, data: &[u8]) -> Result<Vec<u8>, RvError> {
        let mut out = vec![0_u8; SIGNATURE_MAX];
        let mut out_len = out.len() as CK_ULONG;
        // SAFETY: PKCS#11 takes `*mut` for input it does not write to. `out` has `out_len` bytes, and the module says in
        // `out_len` how many it wrote. `Session` is not Sync: no other thread is in this session.
        let rv = unsafe {
            (self.sign)(
                session.handle(),
                data.as_ptr().cast_mut(),
                data.len() as CK_ULONG,
                out.as_mut_ptr(),
                &mut out_len,
            )
        };
        result(rv)?;
        out.truncate(out_len as usize);
        Ok(out)
    }
}

fn result(rv: CK_RV) -> Result<(), RvError> {
    match Rv::from(rv) {
        Rv::Ok => Ok(()),
        Rv::Error(error) => Err(error),
    }
}
