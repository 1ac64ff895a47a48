package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

// Component is a plugin that was found.
type Component struct {
	Name        string
	Path        string
	SHA256      [32]byte // of the binary
	Version     string   // "" when nobody has said it
	Summary     string
	Description *sdk.Description // from NAME.json beside the binary; nil when there is none

	// Of one that was started:
	Keeps        sdk.Keeps // of a sink: what becomes of the tags; "": not said
	NoThresholds bool      // of a driver: the inputs have none
	Resumable    bool      // of a sink: a process may go on with the recording of one that died
}

var validName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// DefaultDirs returns where plugins are looked for: the directories of the
// --plugin-dir flags, those of $TSRUN_PLUGINS (separated by colons), plugins/
// beside tsrun, and lib/tsrun/plugins beside the directory that tsrun is in,
// where it is installed. A directory of a flag must be there.
func DefaultDirs(flagDirs []string) ([]string, error) {
	dirs := slices.Clone(flagDirs)
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, &sdk.Failure{Code: "plugin-dir", Message: fmt.Sprintf("look for plugins in %s: it is no directory", dir),
				Hint: "give --plugin-dir the directory that holds the plugins' programs"}
		}
	}
	for _, dir := range filepath.SplitList(os.Getenv("TSRUN_PLUGINS")) {
		if dir != "" {
			dirs = append(dirs, dir)
		}
	}
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		beside := filepath.Dir(self)
		dirs = append(dirs, filepath.Join(beside, "plugins"), filepath.Join(filepath.Dir(beside), "lib", "tsrun", "plugins"))
	}
	return dirs, nil
}

// maxDescription bounds what a plugin says about itself, in bytes.
const maxDescription = 16 << 20

// Find looks for a plugin in dirs and reads what it says about itself from the
// description beside it (see [sdk.Description]); it starts nothing.
func Find(dirs []string, name string) (Component, error) {
	c, err := locate(dirs, name)
	if err != nil {
		return Component{}, err
	}
	text, err := readBounded(c.Path+".json", maxDescription)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	var d sdk.Description
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err == nil && d.Name != name {
		err = fmt.Errorf("it describes %q", d.Name)
	}
	if err != nil {
		return Component{}, &sdk.Failure{Code: "bad-description",
			Message: fmt.Sprintf("read description of plugin %s at %s.json: %v", name, c.Path, err),
			Hint:    fmt.Sprintf("write it anew: %s --describe > %s.json", c.Path, c.Path)}
	}
	c.Version, c.Summary, c.Description = d.Version, d.Summary, &d
	return c, nil
}

// locate finds and hashes a plugin's binary.
func locate(dirs []string, name string) (Component, error) {
	if !validName.MatchString(name) {
		return Component{}, &sdk.Failure{Code: "bad-plugin-name",
			Message: fmt.Sprintf("find plugin %q: not a plugin name", name),
			Hint:    "names hold only a-z, 0-9 and -"}
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return Component{}, fmt.Errorf("find plugin %s: %w", name, err)
		case info.IsDir():
			continue
		case !executable(info):
			return Component{}, &sdk.Failure{Code: "plugin-not-executable",
				Message: fmt.Sprintf("find plugin %s: %s is not an executable file", name, path),
				Hint:    "make it executable: chmod +x " + path}
		}
		if err := onlyOwnersWrite(path, name); err != nil {
			return Component{}, err
		}
		sum, isPlugin, err := inspect(path)
		if err != nil {
			return Component{}, fmt.Errorf("read plugin %s: %w", name, err)
		}
		if !isPlugin {
			return Component{}, &sdk.Failure{Code: "not-a-plugin",
				Message: fmt.Sprintf("find plugin %s: %s is a program, but not a plugin of tsrun; it was not started", name, path),
				Hint:    fmt.Sprintf("a plugin is built with the sdk, or is described in %s.json", path)}
		}
		return Component{Name: name, Path: path, SHA256: sum}, nil
	}
	return Component{}, unknownPlugin(dirs, name)
}

// onlyOwnersWrite refuses a program that any user of this PC could have put there
// or changed: by its own mode, or by that of the directory, where it is found and
// where a link leads.
func onlyOwnersWrite(path, name string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("find plugin %s: %w", name, err)
	}
	for _, at := range []string{real, filepath.Dir(real), filepath.Dir(path)} {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("find plugin %s: %w", name, err)
		}
		if anyoneWrites(info) {
			return &sdk.Failure{Code: "plugin-unsafe", Hint: "take that right away: chmod o-w " + at,
				Message: fmt.Sprintf("find plugin %s: every user of this PC may write to %s; the plugin was not started", name, at)}
		}
	}
	return nil
}

func unknownPlugin(dirs []string, name string) error {
	hint := "`make build` puts plugins in bin/plugins, and --plugin-dir names another place"
	if found, _ := available(dirs); len(found) > 0 {
		hint = strings.TrimSpace(recipe.DidYouMean(name, found) + " found are: " + strings.Join(found, ", ") + "; " + hint)
	}
	return &sdk.Failure{Code: "unknown-plugin",
		Message: fmt.Sprintf("find plugin %s: there is none in %s", name, strings.Join(dirs, ", ")), Hint: hint}
}

// KeepsFiles says whether a plugin describes a sink that keeps every tag in
// files.
func KeepsFiles(dirs []string, name string) bool {
	sink := sinkOf(dirs, name)
	return sink != nil && sink.Keeps == sdk.AllTags
}

// FilesOf returns how a sink names its files, as its plugin describes it; none: it
// does not say.
func FilesOf(dirs []string, name string) []string {
	if sink := sinkOf(dirs, name); sink != nil {
		return sink.Files
	}
	return nil
}

// sinkOf is what a plugin says of a sink; nil: nothing.
func sinkOf(dirs []string, name string) *sdk.Offer {
	c, err := Find(dirs, name)
	if err != nil || c.Description == nil {
		return nil
	}
	return c.Description.Sink(name)
}

// List returns the plugins in dirs, by name; of one name the first, which is
// the one that [Find] takes. With maxListed of them it looks no further: beside is
// how many more programs there are that could be plugins.
func List(dirs []string) (found []Component, beside int) {
	names, beside := available(dirs)
	for _, name := range names {
		if c, err := Find(dirs, name); err == nil { // one whose description is damaged says so when it is used
			found = append(found, c)
		}
	}
	return found, beside
}

// available lists the names of everything in dirs that could be a plugin, and counts
// the programs that it did not look at.
func available(dirs []string) (names []string, beside int) {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // a directory on the list need not exist
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			info, err := os.Stat(path)
			if err != nil || !executable(info) || !validName.MatchString(e.Name()) {
				continue
			}
			if len(names) >= maxListed {
				beside++
				continue
			}
			if _, isPlugin, err := inspect(path); err == nil && isPlugin {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), beside
}

// maxListed is how many plugins are listed, or named where one is not found: each is
// read whole.
const maxListed = 100

// inspect hashes a program and says whether it is a plugin, without starting
// it: it is described, or it holds the cookie by which plugins know their host.
// A program that was not touched since this process hashed it is not read again:
// a run looks for each of its plugins several times.
func inspect(path string) (sum [32]byte, isPlugin bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return sum, false, err
	}
	_, err = os.Stat(path + ".json")
	described := err == nil
	if known, ok := inspected.Load(path); ok && known.(program).untouched(info) {
		return known.(program).sum, described || known.(program).cookie, nil
	}
	h, cookie := sha256.New(), &finder{text: []byte(sdk.CookieValue)}
	if _, err := io.Copy(io.MultiWriter(h, cookie), f); err != nil {
		return sum, false, err
	}
	copy(sum[:], h.Sum(nil))
	inspected.Store(path, program{info: info, sum: sum, cookie: cookie.found})
	return sum, described || cookie.found, nil
}

// inspected holds by path each [program] that this process has read.
var inspected sync.Map

// program is what was found in a file.
type program struct {
	info   os.FileInfo // before it was read
	sum    [32]byte
	cookie bool // it holds the cookie
}

// untouched says whether a file is still the one that was read.
func (p program) untouched(now os.FileInfo) bool {
	return os.SameFile(p.info, now) && p.info.Size() == now.Size() && p.info.ModTime().Equal(now.ModTime())
}

// finder looks for a text in what is written to it.
type finder struct {
	text  []byte
	tail  []byte // of what was written before, shorter than the text
	found bool
}

func (f *finder) Write(p []byte) (int, error) {
	if f.found {
		return len(p), nil
	}
	keep := len(f.text) - 1
	seam := append(f.tail, p[:min(len(p), keep)]...)
	f.found = bytes.Contains(seam, f.text) || bytes.Contains(p, f.text)
	if len(p) >= keep {
		f.tail = append(f.tail[:0], p[len(p)-keep:]...)
	} else {
		f.tail = append(f.tail[:0], seam[max(0, len(seam)-keep):]...)
	}
	return len(p), nil
}
