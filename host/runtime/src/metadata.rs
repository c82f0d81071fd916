//! Name and version that a component tells about itself, read from its custom sections.
//!
//! The outermost level has the say: tools write there what a person asked for. Else it is what the Rust SDK leaves in the core module, the
//! handler's crate. Anything odd is passed over: the compiler has the say about what is valid.

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
}

/// Magic number, version and layer of a core module; of a component they are as long.
const CORE_MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";
/// Ids of a custom section, and of the section of a component that is a core module.
const CUSTOM: u8 = 0;
const MODULE: u8 = 1;
/// Where the SDK leaves name and version of the handler's crate, on two lines.
const CRATE: &[u8] = b"longshore-crate";
/// Longest name or version that is believed.
const LONGEST: usize = 256;

impl Metadata {
    pub(crate) fn of(component: &[u8]) -> Self {
        let (mut outer, mut inner) = (Metadata::default(), Metadata::default());
        let mut rest = component.get(CORE_MODULE.len()..).unwrap_or_default();
        while let Some((id, mut content)) = section(&mut rest) {
            match id {
                CUSTOM => match sized(&mut content) {
                    Some(b"component-name") => outer.name = component_name(content),
                    Some(b"version") => outer.version = text(content),
                    _ => {}
                },
                MODULE => inner = of_crate(content).unwrap_or(inner),
                _ => {}
            }
        }
        Metadata { name: outer.name.or(inner.name), version: outer.version.or(inner.version) }
    }
}

/// What the SDK left in a core module.
fn of_crate(module: &[u8]) -> Option<Metadata> {
    let mut rest = module.strip_prefix(CORE_MODULE)?;
    while let Some((id, mut content)) = section(&mut rest) {
        if id == CUSTOM && sized(&mut content) == Some(CRATE) {
            let (name, version) = std::str::from_utf8(content).ok()?.split_once('\n')?;
            return Some(Metadata { name: text(name.as_bytes()), version: text(version.as_bytes()) });
        }
    }
    None
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

    #[test]
    fn the_crate_of_a_core_module_is_read_where_the_component_says_nothing() {
        let custom = |name: &[u8], content: &[u8]| {
            let length = |bytes: usize| u8::try_from(bytes).expect("short");
            [&[CUSTOM, length(1 + name.len() + content.len()), length(name.len())], name, content].concat()
        };
        let component = |section: &[u8], outer: &[u8]| {
            let module = [CORE_MODULE, section].concat();
            let length = u8::try_from(module.len()).expect("short");
            [b"\0asm\x0d\0\x01\0", outer, &[MODULE, length], &module].concat()
        };
        let of = |section: &[u8], outer: &[u8]| {
            let Metadata { name, version } = Metadata::of(&component(section, outer));
            (name.unwrap_or_default(), version.unwrap_or_default())
        };
        let orders = custom(CRATE, b"orders\n1.2.3");
        assert_eq!(of(&orders, b""), ("orders".into(), "1.2.3".into()));
        assert_eq!(of(&orders, &custom(b"version", b"v2")), ("orders".into(), "v2".into()));
        assert_eq!(of(&custom(CRATE, b"no second line"), b""), Default::default());
        assert_eq!(of(&custom(b"other", b"orders\n1.2.3"), b""), Default::default());
    }
}
