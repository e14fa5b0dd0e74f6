//! Code with an import in the place of its state.

use wasm_encoder::{
    Component, ComponentAliasSection, ComponentImportSection, ComponentSectionId, ComponentTypeRef, CoreTypeSection,
    DataSection, EntityType, GlobalSection, ImportSection, InstanceSection, Module, ModuleArg, ModuleType, RawSection,
    SectionId,
    reencode::{self, Reencode, ReencodeComponent, RoundtripReencoder},
};
use wasmparser::{ComponentAlias, DataKind, Instance, Parser, Payload};

use super::{
    Held, Part, parts,
    rewind::{initials, rewinding},
};
use crate::engine::run::program::STATE;

/// The component without its state: a function of its bytes, whatever its settings are.
///
/// # Errors
/// Why its state cannot stand by itself.
pub(in super::super) fn code(component: &[u8]) -> Result<Vec<u8>, String> {
    let parts = parts(component)?;
    let modules = parts.iter().filter_map(|it| if let Part::Module(bytes) = it { Some(*bytes) } else { None });
    let held: Vec<Held> = modules.map(Held::of).collect::<Result<_, _>>()?;
    if !held.iter().any(Held::any) {
        return Err("it has no state".to_owned());
    }
    let code = rewritten(&parts, &held).map_err(|error| error.to_string())?;
    let more = rewinding(&code, &held).map_err(|error| error.to_string())?;
    Ok(more.unwrap_or(code))
}

fn rewritten(parts: &[Part<'_>], held: &[Held<'_>]) -> Result<Vec<u8>, reencode::Error> {
    let mut made = Component::new();
    let mut exported = ModuleType::new();
    for (number, held) in held.iter().enumerate().filter(|(_, it)| it.any()) {
        for (name, entity) in held.named(number)? {
            exported.export(&name, entity);
        }
        for (_, initial, fixed) in initials(number, held)? {
            exported.export(&initial, EntityType::Global(fixed));
        }
    }
    let mut types = CoreTypeSection::new();
    types.ty().module(&exported);
    made.section(&types);
    let mut imports = ComponentImportSection::new();
    imports.import(STATE, ComponentTypeRef::Module(0));
    made.section(&imports);
    let mut instances = InstanceSection::new();
    instances.instantiate::<[(&str, ModuleArg); 0], &str>(0, []);
    made.section(&instances);
    let mut number = 0;
    for part in parts {
        match part {
            Part::Module(module) => {
                let data = match held.get(number) {
                    Some(held) if held.any() => without_state(number, held, module)?,
                    _ => without_start(module)?,
                };
                made.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: &data });
                number += 1;
            }
            Part::Instances(section) => {
                let mut instances = InstanceSection::new();
                for instance in section.clone() {
                    match instance? {
                        Instance::Instantiate { module_index, args } => {
                            let args = args.iter().map(|it| (it.name, ModuleArg::Instance(it.index + SHIFT)));
                            let at = usize::try_from(module_index).unwrap_or(usize::MAX);
                            let state = held.get(at).filter(|it| it.any()).map(|_| (STATE, ModuleArg::Instance(0)));
                            let args: Vec<_> = args.chain(state).collect();
                            instances.instantiate(module_index + SHIFT, args);
                        }
                        // They name none by its index.
                        other @ Instance::FromExports(_) => {
                            RoundtripReencoder.parse_instance(&mut instances, other)?;
                        }
                    }
                }
                made.section(&instances);
            }
            Part::Aliases(section) => {
                let mut aliases = ComponentAliasSection::new();
                for alias in section.clone() {
                    let alias = match alias? {
                        ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                            ComponentAlias::CoreInstanceExport { kind, instance_index: instance_index + SHIFT, name }
                        }
                        other => other,
                    };
                    aliases.alias(RoundtripReencoder.component_alias(alias)?);
                }
                made.section(&aliases);
            }
            Part::Other(id, data) => {
                made.section(&RawSection { id: *id, data });
            }
        }
    }
    Ok(made.finish())
}

/// One module and one instance of it stand before all others.
const SHIFT: u32 = 1;

/// What the snapshot tool does to a module that has nothing to be kept: its start function has run.
fn without_start(module: &[u8]) -> Result<Vec<u8>, reencode::Error> {
    let mut made = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        if id != u8::from(SectionId::Start) {
            made.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
        }
    }
    Ok(made.finish())
}

/// With imports in place of what it defined.
fn without_state(number: usize, held: &Held<'_>, module: &[u8]) -> Result<Vec<u8>, reencode::Error> {
    let mut made = Module::new();
    let mut imports = Some(ImportSection::new());
    let finished = |imports: ImportSection| -> Result<ImportSection, reencode::Error> {
        let mut imports = imports;
        for (name, entity) in held.named(number)? {
            imports.import(STATE, &name, entity);
        }
        Ok(imports)
    };
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        let is = |section: SectionId| id == u8::from(section);
        if !(is(SectionId::Custom) || is(SectionId::Type) || is(SectionId::Import))
            && let Some(none) = imports.take()
        {
            made.section(&finished(none)?);
        }
        match payload {
            Payload::ImportSection(section) => {
                let mut had = imports.take().unwrap_or_default();
                for import in section.into_imports() {
                    let import = import?;
                    had.import(import.module, import.name, RoundtripReencoder.entity_type(import.ty)?);
                }
                made.section(&finished(had)?);
            }
            Payload::MemorySection(_) | Payload::StartSection { .. } => {}
            Payload::GlobalSection(section) => {
                let mut stay = GlobalSection::new();
                for global in section.into_iter().skip(held.globals.len()) {
                    RoundtripReencoder.parse_global(&mut stay, global?)?;
                }
                if !stay.is_empty() {
                    made.section(&stay);
                }
            }
            Payload::DataSection(section) => {
                let mut data = DataSection::new();
                for segment in section {
                    let segment = segment?;
                    match segment.kind {
                        // What is of use no more after it was applied once.
                        DataKind::Active { .. } => data.passive([]),
                        DataKind::Passive => data.passive(segment.data.iter().copied()),
                    };
                }
                made.section(&data);
            }
            _ => {
                made.section(&RawSection { id, data: module.get(range).unwrap_or_default() });
            }
        }
    }
    Ok(made.finish())
}
