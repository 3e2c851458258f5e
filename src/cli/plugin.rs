//! `adjutant plugin`: a plugin to begin with.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::rule_files::config_or_fail;
use super::{Exit, Failure, Globals, screen};
use crate::model::is_name;

#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Make a plugin: a manifest, a script and a test
    #[command(after_help = "\
Examples:
  adjutant plugin new rating               in the first configured folder of plugins
  adjutant plugin new rating --in plugins  in this one
  adjutant test plugins                    its test passes already")]
    New {
        /// Its name: lower-case letters, digits and `-`
        name: String,
        /// The folder of plugins
        #[arg(long = "in", value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

/// The files of a new plugin; `NAME` and `FUNCTION` stand for its own.
const FILES: [(&str, &str); 3] = [
    ("plugin.yaml", include_str!("plugin_new/plugin.yaml")),
    ("NAME.rhai", include_str!("plugin_new/NAME.rhai")),
    ("tests/NAME.yaml", include_str!("plugin_new/test.yaml")),
];

pub(super) fn run(plugin: &Plugin, globals: &Globals) -> Result<Exit, Failure> {
    let Plugin::New { name, folder } = plugin;
    // A folder of that name holds tests.
    if !is_name(name) || name == "tests" {
        let help = "names are lower-case letters, digits and `-`, a letter first";
        return Err(Failure::new(Exit::Usage, format!("`{name}` is not a name")).help(help));
    }
    let folder = match folder {
        Some(folder) => folder.clone(),
        None => {
            let configured = config_or_fail(globals)?.plugins.into_iter().next();
            configured.unwrap_or_else(|| PathBuf::from("plugins"))
        }
    };
    let home = folder.join(name);
    if home.exists() {
        return Err(Failure::new(Exit::Usage, format!("{} is there already", home.display())));
    }
    for (file, text) in FILES {
        let path = home.join(file.replace("NAME", name));
        let function = name.replace('-', "_");
        let text = text.replace("NAME", name).replace("FUNCTION", &function);
        write(&path, &text)?;
        screen::say(&format!("{}\n", path.display()));
    }
    Ok(Exit::Fine)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text)).map_err(|error| {
        Failure::new(Exit::Usage, format!("{} could not be written: {error}", path.display()))
    })
}
