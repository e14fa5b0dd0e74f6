//! The child's side: prepares what it is asked for, in a process of its own.

use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader, Read, Write},
};

use bytes::Bytes;

use super::{
    super::{
        Source,
        compile::{Prepared, Subject, prepare},
        compiler::crashed,
    },
    Answer, Question,
};
use crate::{
    component::protocol::is_component,
    engine::run::{Capacity, Engine},
};

/// First of all: limits the memory of this process for good, and its remains after a crash, which would
/// hold settings, to none.
///
/// # Errors
/// The system refuses.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let at_most = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Core, at_most(0))?;
    Ok(setrlimit(Resource::Data, at_most(bytes))?)
}

/// One component from `input`, its code to `output`, for each settings that are asked for.
///
/// # Errors
/// The pipes broke, or the engine cannot be set up.
pub async fn answer_parent(
    input: impl Read,
    mut output: impl Write,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut input = BufReader::new(input);
    let mut question = next(&mut input)?.ok_or("the component is missing")?;
    let mut bytes = vec![0; question.component];
    input.read_exact(&mut bytes)?;
    let bytes = Bytes::from(bytes);
    // Reviews are never run here, so the pool is as small as it can be.
    let engine = Engine::new(Capacity { instances: 1, memory: crate::spec::MAX_MEMORY })?;
    let kept = question.draft.take().map(Cow::into_owned);
    let subject = if is_component(&bytes) { Some(Subject::new(&bytes, kept)) } else { None };
    loop {
        let Question { identity, memory, wanted, .. } = question;
        let source = Source { bytes: bytes.clone(), identity: identity.into_owned(), memory };
        let is_own = source.identity.is_of(engine.wasm(source.identity.fuelled)?);
        let prepared = match &subject {
            _ if !is_own => Err(crashed(&REPLACED)),
            Some(Ok(subject)) => subject.prepare(&engine, &source, wanted).await,
            Some(Err(error)) => Err(error.clone()),
            None => prepare(&engine, &source, wanted, None).await,
        };
        let (answer, parts) = match prepared {
            Ok(Prepared { about, code, shared, draft }) => {
                let [of_shared, of_draft] = [&shared, &draft].map(|it| it.as_ref().map(Vec::len));
                let answer = Answer { about, code: code.len(), shared: of_shared, draft: of_draft };
                (Ok(answer), [code, shared.unwrap_or_default(), draft.unwrap_or_default()])
            }
            Err(error) => (Err(error), Default::default()),
        };
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
        for part in parts {
            output.write_all(&part)?;
        }
        output.flush()?;
        match next(&mut input)? {
            Some(other) => question = other,
            None => return Ok(()),
        }
    }
}

/// None: nobody will ask any more.
fn next(input: &mut impl BufRead) -> io::Result<Option<Question<'static>>> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

const REPLACED: &str = "the program of this server was replaced by another version: restart the server";

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::{Identity, compile::Wanted},
            tests::source,
        },
        *,
    };

    async fn answer(identity: &Identity, component: &[u8]) -> String {
        let question = Question {
            identity: Cow::Borrowed(identity),
            memory: 1 << 20,
            wanted: Wanted::default(),
            draft: None,
            component: component.len(),
        };
        let input = [&*serde_json::to_vec(&question).unwrap(), b"\n", component].concat();
        let mut answer = Vec::new();
        answer_parent(&*input, &mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn the_other_side_answers_with_what_is_wrong() {
        let identity = source().identity;
        let answered = answer(&identity, b"\0asm\x01\0\0\0").await;
        assert!(answered.starts_with(r#"{"Err":{"Program":{"Protocol":{"Unknown":"nothing"}}}}"#), "{answered}");
        let other = serde_json::to_string(&identity).unwrap().replace("verdict:policy@", "verdict:policy@9.");
        let answered = answer(&serde_json::from_str(&other).unwrap(), b"\0asm\x01\0\0\0").await;
        assert!(answered.contains("was replaced by another version: restart the server"), "{answered}");
        assert!(answer_parent(&b"no line"[..], Vec::new()).await.is_err());
    }
}
