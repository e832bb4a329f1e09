//! The actions of a listener or rule, as a list of which the last decides.

use super::fault::Fault;
use super::form::Form;
use super::forward::Forward;
use super::xml::Element;

const OIDC: &str = "AuthenticateOidcConfig";
const SECRET: &str = "ClientSecret";
const SAME_SECRET: &str = "UseExistingClientSecret";

/// One action; what is no forward is kept and given back as it came, but for a client's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    form: Form,
    forward: Option<Forward>,
}

impl Action {
    /// The actions of a field, of which exactly one must answer or forward the request.
    pub(crate) fn read_list(form: &Form, field: &str) -> Result<Vec<Self>, Fault> {
        let actions = form.list(field).unwrap_or_default().into_iter().map(Self::read);
        let actions: Vec<Self> = actions.collect::<Result<_, _>>()?;
        if actions.iter().filter(|action| action.is_final()).count() == 1 {
            Ok(actions)
        } else {
            Err(Fault::action(format!(
                "{field} must have exactly one forward, redirect or fixed-response action"
            )))
        }
    }

    fn read(form: &Form) -> Result<Self, Fault> {
        let forward = match form.required("Type")? {
            "forward" => Some(Forward::read(form)?),
            "authenticate-oidc" => return Self::read_oidc(form),
            "redirect" | "fixed-response" | "authenticate-cognito" | "jwt-validation" => None,
            other => {
                return Err(Fault::validation(format!("'{other}' is not a type of action")));
            }
        };
        Ok(Self { form: form.clone(), forward })
    }

    /// The client's secret comes with the action, or the one that is there is to stay. Neither is
    /// ever read back, so who writes what was read has to say the latter.
    fn read_oidc(form: &Form) -> Result<Self, Fault> {
        let config = form.get(OIDC);
        let given = |field| config.and_then(|config| config.text(field));
        if given(SECRET).is_none() && given(SAME_SECRET) != Some("true") {
            let message = "A client secret is required, unless UseExistingClientSecret is true";
            return Err(Fault::validation(message));
        }
        Ok(Self { form: form.without(OIDC, &[SECRET, SAME_SECRET]), forward: None })
    }

    fn is_final(&self) -> bool {
        matches!(self.form.text("Type"), Some("forward" | "redirect" | "fixed-response"))
    }

    fn to_element(&self) -> Element {
        let Some(forward) = &self.forward else {
            return self.form.to_element("member");
        };
        let mut elements = vec![Element::text("Type", "forward")];
        elements.extend(self.form.text("Order").map(|order| Element::text("Order", order)));
        elements.extend(forward.to_elements());
        Element::list("member", elements)
    }
}

pub(crate) fn to_element(name: &str, actions: &[Action]) -> Element {
    Element::list(name, actions.iter().map(Action::to_element))
}

/// The forward action among a list's, if it has one.
pub(crate) fn forward(actions: &[Action]) -> Option<&Forward> {
    actions.iter().find_map(|action| action.forward.as_ref())
}

/// Target groups and weights of a list; empty where it does not forward.
pub(crate) fn weights(actions: &[Action]) -> &[(String, u16)] {
    forward(actions).map(|forward| forward.groups.as_slice()).unwrap_or_default()
}
