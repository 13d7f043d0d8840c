//! A primary and its streaming replicas: killed, frozen, promoted, cut off.

mod group;
