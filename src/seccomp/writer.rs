//! Writes a BPF program from its end to its beginning.
//!
//! BPF only jumps forward, so whatever is jumped to stands already and its distance is known. A conditional jump reaches 255
//! instructions: what lies further away is reached by a second return or by a jump that stands near.

use super::program::{CompileError, Instruction, Program, code};
use super::verdict::Answer;
use std::collections::BTreeMap;

/// A place in the program, counted from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label(usize);

/// Where a test leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// To the nearest return of this action. Returns are written only where a test needs one.
    Return(u32),
    /// To this place.
    At(Label),
}

impl Target {
    /// The return of an answer.
    pub(super) fn answer(answer: Answer) -> Self {
        Self::Return(answer.action())
    }
}

/// What is asked of the accumulator: a conditional jump without its distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) code: u16,
    pub(super) k: u32,
}

/// The program so far.
#[derive(Debug)]
pub(super) struct Writer {
    reversed: Vec<Instruction>,
    /// The last return of each action. A handful: a list is faster than a map.
    returns: Vec<(u32, Label)>,
    /// The last jump to each place that has one.
    jumps: BTreeMap<Label, Label>,
}

impl Writer {
    /// An empty program, with room for this many instructions.
    pub(super) fn new(room: usize) -> Self {
        Self {
            reversed: Vec::with_capacity(room),
            returns: Vec::with_capacity(8),
            jumps: BTreeMap::new(),
        }
    }

    /// The program from its beginning.
    ///
    /// # Errors
    /// When it is longer than the kernel takes.
    pub(super) fn finish(mut self) -> Result<Program, CompileError> {
        if self.reversed.len() > Program::LONGEST {
            return Err(CompileError::TooLong(self.reversed.len()));
        }
        self.reversed.reverse();
        Ok(Program {
            instructions: self.reversed,
        })
    }

    /// How many instructions stand already.
    pub(super) fn len(&self) -> usize {
        self.reversed.len()
    }

    /// Writes one instruction in front of all others.
    pub(super) fn push(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len() - 1)
    }

    /// How many instructions the one that is written next would skip to get to `label`.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - label.0 - 1
    }

    /// Makes `target` what the instruction that is written next falls through to.
    ///
    /// # Errors
    /// When it is farther away than any program is long.
    pub(super) fn fall_to(&mut self, target: Target) -> Result<Label, CompileError> {
        match target {
            Target::Return(action) => Ok(self.push(Instruction::plain(code::RETURN, action))),
            Target::At(label) if self.distance(label) == 0 => Ok(label),
            Target::At(label) => {
                let k = u32::try_from(self.distance(label)).map_err(|_| CompileError::Jump)?;
                Ok(self.push(Instruction::plain(code::JUMP, k)))
            }
        }
    }

    /// Writes a test with both its ways.
    ///
    /// # Errors
    /// None that a program of allowed length meets.
    pub(super) fn test(&mut self, test: Test, yes: Target, no: Target) -> Result<Label, CompileError> {
        self.test_once(test, yes, no, self.len())
    }

    /// The same, but an equal test with equal ways is taken instead where one stands that was written when `since` or more
    /// instructions stood.
    ///
    /// # Errors
    /// None that a program of allowed length meets.
    pub(super) fn test_once(
        &mut self,
        test: Test,
        yes: Target,
        no: Target,
        since: usize,
    ) -> Result<Label, CompileError> {
        let yes = self.near(yes, 1)?;
        let no = self.near(no, 0)?;
        if let Some(label) = self.find(test, yes, no, since) {
            return Ok(label);
        }
        let short = |distance: usize| u8::try_from(distance).map_err(|_| CompileError::Jump);
        let instruction = Instruction {
            code: test.code,
            jt: short(self.distance(yes))?,
            jf: short(self.distance(no))?,
            k: test.k,
        };
        Ok(self.push(instruction))
    }

    fn find(&self, test: Test, yes: Label, no: Label, since: usize) -> Option<Label> {
        let written = self.reversed.get(since..)?;
        let leads = |at: usize, distance: u8, label: Label| at == label.0 + usize::from(distance) + 1;
        written
            .iter()
            .zip(since..)
            .find(|(i, at)| {
                i.k == test.k && i.code == test.code && leads(*at, i.jt, yes) && leads(*at, i.jf, no)
            })
            .map(|(_, at)| Label(at))
    }

    /// Writes an instruction that falls through to `label`, or finds that it stands there already.
    ///
    /// # Errors
    /// None that a program of allowed length meets.
    pub(super) fn before(&mut self, label: Label, instruction: Instruction) -> Result<Label, CompileError> {
        if self.reversed.get(label.0 + 1) == Some(&instruction) {
            return Ok(Label(label.0 + 1));
        }
        self.fall_to(Target::At(label))?;
        Ok(self.push(instruction))
    }

    /// A place that leads to `target` and is near enough for a conditional jump that is written `spare` instructions later.
    fn near(&mut self, target: Target, spare: usize) -> Result<Label, CompileError> {
        let reached = |writer: &Self, label: &Label| writer.distance(*label) + spare <= usize::from(u8::MAX);
        match target {
            Target::Return(action) => {
                let label = Label(self.reversed.len());
                let reach = label.0 + spare;
                match self.returns.iter_mut().find(|(known, _)| *known == action) {
                    Some((_, last)) if reach - last.0 <= usize::from(u8::MAX) + 1 => return Ok(*last),
                    Some((_, last)) => *last = label,
                    None => self.returns.push((action, label)),
                }
                self.fall_to(target)
            }
            Target::At(label) if reached(self, &label) => Ok(label),
            Target::At(label) => {
                let jump = self.jumps.get(&label).copied();
                if let Some(jump) = jump.filter(|jump| reached(self, jump)) {
                    return Ok(jump);
                }
                let jump = self.fall_to(target)?;
                self.jumps.insert(label, jump);
                Ok(jump)
            }
        }
    }
}
