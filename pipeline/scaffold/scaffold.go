// Package scaffold writes new plugins: a driver or a sink that is complete, passes
// the checks of sdktest, and runs a recipe as it is.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"tsrun/examples/python"
	"tsrun/sdk"
)

//go:embed *.tmpl driver sink
var templates embed.FS

// Plugin is one to be written.
type Plugin struct {
	Name   string // also of its directory
	Dir    string // in which that is made
	Sink   bool   // and no driver
	Python bool   // and no Go
	SDK    string // of one in Go: the checkout of tsrun
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// New writes a plugin and returns its directory, which must not exist before.
func New(p Plugin) (string, error) {
	if !validName.MatchString(p.Name) {
		return "", &sdk.Failure{Code: "bad-plugin-name", Message: fmt.Sprintf("write plugin %q: not a plugin name", p.Name),
			Hint: "names hold only a-z, 0-9 and -, such as tc-foo"}
	}
	dir := filepath.Join(p.Dir, p.Name)
	if _, err := os.Lstat(dir); err == nil {
		return "", fmt.Errorf("write plugin %s: there is %s already; choose another name or directory", p.Name, dir)
	}
	files, err := p.files(dir)
	if err != nil {
		return "", err
	}
	for name, f := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, f.text, f.mode)); err != nil {
			return "", fmt.Errorf("write plugin %s: %w", p.Name, err)
		}
	}
	return dir, nil
}

type file struct {
	text []byte
	mode fs.FileMode
}

// files are all files of the plugin, by their names in its directory.
func (p Plugin) files(dir string) (map[string]file, error) {
	files := map[string]file{}
	kind := "driver"
	if p.Sink {
		kind = "sink"
	}
	words := p.words(kind)
	err := p.fill(files, words, "README.md.tmpl", kind+"/recipe.yaml.tmpl")
	if err == nil && p.Python {
		err = p.addPython(files)
	}
	if err == nil && !p.Python {
		var sources []string
		if sources, err = fs.Glob(templates, kind+"/*.go.tmpl"); err == nil {
			err = errors.Join(p.fill(files, words, append(sources, "plugin_test.go.tmpl")...), p.addModule(files, dir))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("write plugin %s: %w", p.Name, err)
	}
	return files, nil
}

// words are what the templates say differently.
type words struct {
	Name, What, Next, Build, Program, Plugins, Note string
	Driver                                          bool
}

func (p Plugin) words(kind string) words {
	w := words{Name: p.Name, What: kind, Driver: !p.Sink, Program: "plugins/" + p.Name, Plugins: "plugins",
		Next:  "`main.go` says where to go on.",
		Build: "go test ./...\ngo build -o plugins/ .\nplugins/" + p.Name + " --describe > plugins/" + p.Name + ".json",
		Note: "`go.mod` says where the SDK is: in a checkout of tsrun on this PC, by `replace`. When tsrun has a public address, a version of it\n" +
			"stands there instead, and `replace` goes.\n\n`.json` beside the program is what it says of itself; with it `tsrun check` knows the keys of its config."}
	if p.Python {
		w.Next = "`plugins/" + p.Name + "` has a comment wherever a vendor's library is called."
		w.Build = "plugins/" + p.Name + " --describe > plugins/" + p.Name + ".json"
		w.Note = "It needs Debian's python3-grpcio, python3-protobuf and python3-zmq. The three modules beside the program are tsrun's; they are the\n" +
			"same for every plugin."
		if p.Sink {
			w.Next = "`plugins/" + p.Name + "` is all of it."
		}
	}
	return w
}

// fill writes templates under their names without folder and ending.
func (p Plugin) fill(files map[string]file, w words, names ...string) error {
	for _, name := range names {
		t, err := template.ParseFS(templates, name)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, w); err != nil {
			return err
		}
		whole := text.Bytes()
		if p.Python && strings.HasSuffix(name, "recipe.yaml.tmpl") { // the driver in Python is always simulated
			whole = regexp.MustCompile(`, config: \{port: sim\}|simulate:\n  lab: .*\n`).ReplaceAll(whole, nil)
		}
		files[strings.TrimSuffix(filepath.Base(name), ".tmpl")] = file{whole, 0o644}
	}
	return nil
}

// addPython copies the example and the modules.
func (p Plugin) addPython(files map[string]file) error {
	example := "tc-noise-py"
	if p.Sink {
		example = "sink-counts-py"
	}
	text, err := python.Files.ReadFile(example)
	if err != nil {
		return err
	}
	files["plugins/"+p.Name] = file{bytes.ReplaceAll(text, []byte(example), []byte(p.Name)), 0o755}
	for _, module := range python.Modules {
		if text, err = python.Files.ReadFile(module); err != nil {
			return err
		}
		files["plugins/"+module] = file{text, 0o644}
	}
	return nil
}

// addModule makes the module: with the versions and checksums that tsrun has, so
// that it needs no network where tsrun was built before.
func (p Plugin) addModule(files map[string]file, dir string) error {
	checkout, err := Checkout(p.SDK)
	if err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(checkout, "go.mod"))
	if err != nil {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(checkout, "go.sum"))
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(mod), "\n")
	files["go.mod"] = file{fmt.Appendf(nil, `// tsrun is in no public registry of modules yet: replace says where its checkout
// is on this PC. When it has an address, a version of it stands here instead.
module example.org/%s

require tsrun v0.0.0

replace tsrun => %q
%s`, p.Name, checkout, rest), 0o644}
	files["go.sum"] = file{sum, 0o644}
	files[".gitignore"] = file{[]byte("/plugins/\n/runs/\n"), 0o644}
	return nil
}

// Checkout returns the absolute path of a checkout of tsrun: the directory given,
// or that in which this program was built (bin/tsrun) where none is.
func Checkout(dir string) (string, error) {
	given := dir != ""
	if !given {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		if self, err = filepath.EvalSymlinks(self); err != nil {
			return "", err
		}
		dir = filepath.Dir(filepath.Dir(self))
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module tsrun\n") {
		return "", &sdk.Failure{Code: "no-sdk", Message: fmt.Sprintf("look for the SDK: %s is no checkout of tsrun", dir),
			Hint: "give the directory of one with --sdk"}
	}
	return dir, nil
}
