//! stub until merged
use crate::error::Result;
use crate::settings::Settings;
/// stub
pub fn supervise(_settings: Settings) -> Result<u8> {
    todo!()
}
/// stub
pub fn hold(_command: &[std::ffi::OsString]) -> Result<u8> {
    todo!()
}
