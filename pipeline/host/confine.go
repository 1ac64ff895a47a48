package host

import (
	"bufio"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tsrun/pipeline/confine"
	"tsrun/sdk"
)

// systemPlaces hold what programs are made of and what they look up: nothing of
// a user.
var systemPlaces = []string{"/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/nix/store", "/gnu/store", "/etc", "/proc", "/sys",
	"/run/systemd/resolve", "/run/resolvconf", "/run/nscd", "/run/udev"}

// plainDevices are what every program may use.
var plainDevices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// prefixPlaces are the parts of an installation, such as a virtual environment of
// Python, whose programs stand in bin.
var prefixPlaces = []string{"bin", "lib", "lib64", "libexec", "pyvenv.cfg", "conda-meta"}

// confinement is what a plugin is let do, and why not less.
type confinement struct {
	rules   confine.Rules
	outside string // that it must not be able to make
	inside  string // that it must
	off     string // why it is not confined; "": it is to be
}

// confinementOf is that of a plugin's process: its program and what programs are
// made of may be read, and what the config names; written to are its scratch
// directory, that of its sockets and the places of the spec. A driver has the
// devices and the network. What its description asks for comes on top.
func (p *process) confinementOf(s Spec, role string) confinement {
	c := confinement{outside: filepath.Join(p.host.runtime, p.instance+".trial"), inside: filepath.Join(p.scratch, ".trial")}
	needs := p.component.needs()
	c.off = cmp.Or(needs.Unconfined, confine.Privileged(p.component.Path))
	if !p.host.confine {
		c.off = "its host confines nothing"
	}
	c.rules = p.component.rules(role, slices.Concat([]string{p.scratch, p.sockets}, s.Writes)...)
	for _, path := range slices.Concat(pathsIn(s.Config), pathsIn(s.Simulation.Controller)) {
		c.allow(path, role)
	}
	return c
}

// rules are the rights of a plugin that writes to some places, without those that its
// config gives it.
func (c Component) rules(role string, writes ...string) confine.Rules {
	needs := c.needs()
	r := confine.Rules{
		Read:    slices.Concat(systemPlaces, programPlaces(c.Path), environmentPlaces(), homes(needs.Reads)),
		Write:   slices.Concat(writes, homes(needs.Writes)),
		Devices: plainDevices,
		Network: role == "driver" || needs.Network,
	}
	if cover := os.Getenv("GOCOVERDIR"); cover != "" {
		r.Write = append(r.Write, cover)
	}
	if role == "driver" {
		r.Devices = []string{"/dev"}
	}
	return r
}

// allow lets a plugin use a path that the recipe names: its user has said so.
func (c *confinement) allow(path, role string) {
	info, err := os.Stat(path)
	switch {
	case err == nil && (role == "driver" || !info.IsDir()):
		c.rules.Devices = append(c.rules.Devices, path)
	case err == nil:
		c.rules.Write = append(c.rules.Write, path)
	case role == "sink": // it may be about to make it
		c.rules.Write = append(c.rules.Write, filepath.Dir(path))
	}
}

// needs are what the plugin's description asks for.
func (c Component) needs() sdk.Needs {
	if c.Description == nil || c.Description.Needs == nil {
		return sdk.Needs{}
	}
	return *c.Description.Needs
}

// homes expands paths that begin with the user's home directory, "~/".
func homes(paths []string) (expanded []string) {
	home, err := os.UserHomeDir()
	for _, path := range paths {
		rest, inHome := strings.CutPrefix(path, "~/")
		switch {
		case inHome && err == nil:
			expanded = append(expanded, filepath.Join(home, rest))
		case filepath.IsAbs(path):
			expanded = append(expanded, filepath.Clean(path))
		}
	}
	return expanded
}

// programPlaces are where a program is and, of a script, its interpreter.
func programPlaces(path string) (places []string) {
	for _, at := range resolved(path) {
		places = append(places, filepath.Dir(at))
	}
	if interpreter := interpreterOf(path); interpreter != "" {
		for _, at := range resolved(interpreter) {
			places = append(places, prefixOf(filepath.Dir(at))...)
		}
	}
	return places
}

// resolved is a path and where it leads.
func resolved(path string) []string {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	if real, err := filepath.EvalSymlinks(absolute); err == nil && real != absolute {
		return []string{absolute, real}
	}
	return []string{absolute}
}

// interpreterOf is the program in the first line of a script; "": it is none.
func interpreterOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReaderSize(f, 256).ReadSlice('\n') // the kernel reads no more
	words := strings.Fields(strings.TrimPrefix(string(line), "#!"))
	if !strings.HasPrefix(string(line), "#!") || len(words) == 0 || !filepath.IsAbs(words[0]) {
		return ""
	}
	return words[0]
}

// prefixOf are the parts of the installation whose programs are in a directory; of
// another directory itself.
func prefixOf(bin string) (places []string) {
	if filepath.Base(bin) != "bin" {
		return []string{bin}
	}
	for _, part := range prefixPlaces {
		places = append(places, filepath.Join(filepath.Dir(bin), part))
	}
	return places
}

// environmentPlaces are where the environment says that programs and modules are.
func environmentPlaces() (places []string) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		places = append(places, prefixOf(dir)...)
		if python, err := filepath.EvalSymlinks(filepath.Join(dir, "python3")); err == nil {
			places = append(places, prefixOf(filepath.Dir(python))...)
		}
	}
	for _, name := range []string{"LD_LIBRARY_PATH", "PYTHONPATH"} {
		for _, dir := range filepath.SplitList(os.Getenv(name)) {
			if filepath.IsAbs(dir) {
				places = append(places, dir)
			}
		}
	}
	return append(places, homes([]string{"~/.local/lib"})...)
}

// longestPath is the longest text that can name a file.
const longestPath = 4096

// pathsIn lists the texts of a config that name files: absolute paths, and others
// under which a file is found.
func pathsIn(config json.RawMessage) (paths []string) {
	var value any
	if json.Unmarshal(config, &value) != nil {
		return nil
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, below := range v {
				walk(below)
			}
		case []any:
			for _, below := range v {
				walk(below)
			}
		case string:
			if path := pathOf(v); path != "" {
				paths = append(paths, path)
			}
		}
	}
	walk(value)
	slices.Sort(paths)
	return slices.Compact(paths)
}

func pathOf(text string) string {
	if text == "" || len(text) > longestPath || strings.ContainsRune(text, 0) {
		return ""
	}
	if filepath.IsAbs(text) && filepath.Clean(text) != "/" {
		return filepath.Clean(text)
	}
	if info, err := os.Stat(text); err == nil && !info.IsDir() {
		if absolute, err := filepath.Abs(text); err == nil {
			return absolute
		}
	}
	return ""
}
