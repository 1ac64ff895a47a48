package calibrate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// Written is a file of the recipe that has what was proposed.
type Written struct {
	File    string `json:"file"`
	Already bool   `json:"already"` // it had it before
}

// Write writes what is proposed into the files of the recipe that the values stand in,
// or would stand in: all of them or none. A file that is not as the run read it is
// left alone, but for one that has just these values.
func (p *Proposal) Write(m *run.Manifest) error {
	files, err := keptFiles(p.Run, m)
	if err != nil {
		return err
	}
	values := map[int]map[string]string{} // by file
	for _, c := range p.Compensation {
		if err := overridden(m, c.Node); err != nil {
			return err
		}
		at := standsIn(files, c.Node)
		if values[at] == nil {
			values[at] = map[string]string{}
		}
		values[at][c.Node] = c.Text
	}
	changed := make([][]byte, len(files))
	for at := range values {
		if changed[at], err = recipe.WithCompensation(files[at], values[at]); err != nil {
			return fmt.Errorf("%w; put the lines in by hand", err)
		}
	}
	already := make([]bool, len(files))
	for at, text := range changed {
		if text != nil {
			if already[at], err = asItWas(files[at], text); err != nil {
				return err
			}
		}
	}
	for at, text := range changed {
		if text == nil {
			continue
		}
		if !already[at] {
			if err := replace(files[at].Path, text); err != nil {
				return fmt.Errorf("write %s: %w", files[at].Path, err)
			}
		}
		p.Written = append(p.Written, Written{File: files[at].Path, Already: already[at]})
	}
	return nil
}

// keptFiles are the copies of the recipe's files in the run, the recipe first and then
// its parents, each with the path that it was read from.
func keptFiles(dir string, m *run.Manifest) (files []recipe.File, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if len(m.Recipe.Files) == 0 {
		return nil, errors.New("the run keeps no copy of its recipe")
	}
	for _, f := range m.Recipe.Files {
		file, err := root.Open(filepath.FromSlash(f.File))
		if err != nil {
			return nil, fmt.Errorf("read the run's copy of its recipe: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(file, recipe.MaxFile+1))
		if err = errors.Join(err, file.Close()); err != nil {
			return nil, fmt.Errorf("read the run's copy of its recipe: %w", err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != f.SHA256 {
			return nil, fmt.Errorf("%s of the run is not what the run has recorded; see tsrun verify", f.File)
		}
		if !filepath.IsAbs(f.Path) {
			return nil, fmt.Errorf("the recipe was read from %q, which is no file; put the lines in by hand", f.Path)
		}
		files = append(files, recipe.File{Name: filepath.Base(f.Path), Path: f.Path, Bytes: text})
	}
	return files, nil
}

// overridden refuses a value that came from the command line: no file has it.
func overridden(m *run.Manifest, node string) error {
	for _, set := range m.Recipe.Overrides {
		path, _, _ := strings.Cut(set, "=")
		if slices.Contains([]string{"trigger", "trigger.compensation", "trigger.compensation." + node}, path) {
			return fmt.Errorf("the run had --set %s, which no file says; put the lines in by hand, and leave that out", set)
		}
	}
	return nil
}

// standsIn is the file that the compensation of a node stands in; where none has it,
// the first that has the section it belongs to, or else the recipe.
func standsIn(files []recipe.File, node string) (at int) {
	most := 0
	for i, f := range files {
		if depth := recipe.HasCompensation(f, node); depth > most {
			at, most = i, depth
		}
	}
	return at
}

// asItWas compares a file with the copy in the run. already: it is as it is to become.
func asItWas(f recipe.File, becomes []byte) (already bool, err error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return false, fmt.Errorf("the recipe that the run has read is not there: %w; put the lines in by hand", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, recipe.MaxFile+1))
	switch {
	case err != nil:
		return false, fmt.Errorf("read %s: %w", f.Path, err)
	case bytes.Equal(text, becomes):
		return true, nil
	case !bytes.Equal(text, f.Bytes):
		return false, fmt.Errorf("%s is not as the run has read it; run it again and calibrate with that, or put the lines in by hand", f.Path)
	}
	return false, nil
}

// replace writes a file anew, at the end of its links and with the rights that it has.
func replace(path string, text []byte) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	if err := run.WriteAtomic(real, text); err != nil {
		return err
	}
	return os.Chmod(real, info.Mode().Perm())
}
