//! The syntax of metric math: operators by their usual ranks, comparisons last.

/// So deep may an expression nest, and so many operators may it have: a hostile one must not use up
/// the stack.
const DEPTH_LIMIT: usize = 32;
const OPERATORS_LIMIT: usize = 256;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Text(String),
    Id(String),
    Array(Vec<Self>),
    Negated(Box<Self>),
    Binary(Box<Self>, Operator, Box<Self>),
    Call(String, Vec<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Plus,
    Minus,
    Times,
    Over,
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

impl Operator {
    const ALL: [(&'static str, Self); 10] = [
        // The longer ones first.
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<", Self::Less),
        (">", Self::More),
        ("+", Self::Plus),
        ("-", Self::Minus),
        ("*", Self::Times),
        ("/", Self::Over),
    ];

    /// How tightly it binds.
    const fn rank(self) -> u8 {
        match self {
            Self::Times | Self::Over => 3,
            Self::Plus | Self::Minus => 2,
            Self::Less
            | Self::AtMost
            | Self::More
            | Self::AtLeast
            | Self::Equal
            | Self::Unequal => 1,
        }
    }
}

impl Expression {
    /// The ids in it, as often as they stand there.
    pub(crate) fn ids(&self) -> Vec<&str> {
        match self {
            Self::Number(_) | Self::Text(_) => vec![],
            Self::Id(id) => vec![id],
            Self::Array(parts) | Self::Call(_, parts) => parts.iter().flat_map(Self::ids).collect(),
            Self::Negated(inner) => inner.ids(),
            Self::Binary(left, _, right) => [left.ids(), right.ids()].concat(),
        }
    }
}

/// The whole of a text as one expression.
pub(crate) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { rest: text, depth: 0, operators: 0 };
    let expression = parser.expression(0)?;
    parser.skip_blanks();
    if parser.rest.is_empty() { Ok(expression) } else { Err(parser.unexpected()) }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    operators: usize,
}

impl Parser<'_> {
    /// What binds tighter than `rank`.
    fn expression(&mut self, rank: u8) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err("the expression nests too deeply".to_owned());
        }
        let mut left = self.operand()?;
        while let Some(operator) = self.operator(rank) {
            self.operators += 1;
            if self.operators > OPERATORS_LIMIT {
                return Err("the expression has too many operators".to_owned());
            }
            let right = self.expression(operator.rank())?;
            left = Expression::Binary(Box::new(left), operator, Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&mut self, rank: u8) -> Option<Operator> {
        self.skip_blanks();
        let (text, operator) =
            Operator::ALL.into_iter().find(|(text, _)| self.rest.starts_with(text))?;
        (operator.rank() > rank).then(|| {
            self.rest = self.rest.get(text.len()..).unwrap_or_default();
            operator
        })
    }

    fn operand(&mut self) -> Result<Expression, String> {
        self.skip_blanks();
        match self.rest.chars().next() {
            Some('-') => {
                self.take(1);
                // Tighter than any operator of two sides.
                self.expression(u8::MAX).map(|inner| Expression::Negated(Box::new(inner)))
            }
            Some('(') => {
                self.take(1);
                let inner = self.expression(0)?;
                self.expect(')').map(|()| inner)
            }
            Some('[') => {
                self.take(1);
                self.list(']').map(Expression::Array)
            }
            Some(quote @ ('\'' | '"')) => {
                self.take(1);
                let text = self.take_while(|c| c != quote);
                self.expect(quote).map(|()| Expression::Text(text))
            }
            Some(c) if c.is_ascii_digit() || c == '.' => {
                let number = self.take_while(|c| c.is_ascii_digit() || c == '.');
                number.parse().map(Expression::Number).map_err(|_| format!("{number} is no number"))
            }
            Some(c) if c.is_ascii_alphabetic() => {
                let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                self.skip_blanks();
                if self.rest.starts_with('(') {
                    self.take(1);
                    return self.list(')').map(|arguments| Expression::Call(word, arguments));
                }
                Ok(Expression::Id(word))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// What stands between commas, up to the end and with it.
    fn list(&mut self, end: char) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        self.skip_blanks();
        if self.rest.starts_with(end) {
            self.take(1);
            return Ok(items);
        }
        loop {
            items.push(self.expression(0)?);
            self.skip_blanks();
            if !self.rest.starts_with(',') {
                return self.expect(end).map(|()| items);
            }
            self.take(1);
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        self.skip_blanks();
        if self.rest.starts_with(wanted) {
            self.take(1);
            Ok(())
        } else {
            Err(format!("{wanted} is missing"))
        }
    }

    fn take(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken.to_owned()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(c) => format!("{c} is not expected there"),
            None => "the expression ends too early".to_owned(),
        }
    }
}
