//! Name and version that a component tells about itself, read from its custom sections.
//!
//! Only the outermost level is looked at, and anything odd is passed over: the compiler has the say about what is valid.

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
}

/// Bytes of magic number, version and layer.
const PREAMBLE: usize = 8;
/// Longest name or version that is believed.
const LONGEST: usize = 256;

impl Metadata {
    pub(crate) fn of(component: &[u8]) -> Self {
        let mut metadata = Metadata::default();
        let mut rest = component.get(PREAMBLE..).unwrap_or_default();
        while let Some((id, mut content)) = section(&mut rest) {
            if id != 0 {
                continue;
            }
            match sized(&mut content) {
                Some(b"component-name") => metadata.name = component_name(content),
                Some(b"version") => metadata.version = text(content),
                _ => {}
            }
        }
        metadata
    }
}

fn section<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (id, after) = rest.split_first()?;
    *rest = after;
    Some((*id, sized(rest)?))
}

/// The subsection with the component's own name.
fn component_name(mut content: &[u8]) -> Option<String> {
    while let Some((id, mut name)) = section(&mut content) {
        if id == 0 {
            return text(sized(&mut name)?);
        }
    }
    None
}

/// Bytes behind their length.
fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = leb(rest)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn leb(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().filter(|t| !t.is_empty() && t.len() <= LONGEST)?;
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_version_are_read_and_junk_is_passed_over() {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        bytes.extend(b"\x00\x0e\x07versionv1.2.3");
        assert_eq!(Metadata::of(&bytes).version.as_deref(), Some("v1.2.3"));
        bytes.extend(b"\x00\x18\x0ecomponent-name\x00\x07\x06orders");
        assert_eq!(Metadata::of(&bytes).name.as_deref(), Some("orders"));
        bytes.extend(b"\xff\xff\xff\xff\xff\xff");
        assert_eq!(Metadata::of(&bytes).name.as_deref(), Some("orders"));
        assert_eq!(Metadata::of(b"\0as"), Metadata::default());
    }
}
