//! The drivers against the real servers from Debian, each started by its test on a loopback port and ended by its process id.

mod authority;
mod exec;
mod hook;
mod ldap;
mod mariadb;
mod oauth;
mod postgres;
mod postgres_door;
mod redis;
mod register;
mod relay;
mod servers;
