package results

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// ending is what may stand behind the dot of a file's name.
var ending = regexp.MustCompile(`^[a-z0-9]{1,16}$`)

// accept enters the files that the program says it wrote, once they are proven to be
// what it says, and removes what else is in the directory of the sink: all of it where
// the program has failed. The error says what is not as it should be.
func (g *giver) accept(dir *os.Root, answer sdk.ResultsAnswer, ended bool) error {
	defer dir.Close()
	var wrong []error
	if ended {
		g.record.Messages = answer.Messages
		for _, stage := range answer.Without[:min(len(answer.Without), len(g.heads))] {
			if g.headNamed(stage) != nil {
				g.record.Without = append(g.record.Without, stage+": it has no table")
			}
		}
		for _, f := range answer.Files[:min(len(answer.Files), len(g.heads))] {
			if err := g.prove(dir, f); err != nil {
				wrong = append(wrong, err)
				break // one lie is enough
			}
		}
		if extra := len(answer.Files) - len(g.heads); extra > 0 {
			wrong = append(wrong, fmt.Errorf("it tells of %d files more than there are results", extra))
		}
	}
	removed, err := g.removeOthers(dir)
	if ended && removed != "" {
		wrong = append(wrong, fmt.Errorf("it left %s, which it did not tell of or which is not as it said; it was removed", removed))
	}
	return errors.Join(append(wrong, err)...)
}

func (g *giver) headNamed(stage string) *sdk.ResultHead {
	for i := range g.heads {
		if g.heads[i].Stage == stage {
			return &g.heads[i]
		}
	}
	return nil
}

// prove enters a file of which the program says that it is whole.
func (g *giver) prove(dir *os.Root, f sdk.ResultFile) error {
	h := g.headNamed(f.Stage)
	if h == nil {
		return fmt.Errorf("it tells of a file of stage %.64q, which it was not given", f.Stage)
	}
	format, named := strings.CutPrefix(f.Path, h.File+".")
	if !named || !ending.MatchString(format) || format == "part" || format == "tmp" {
		return fmt.Errorf("it tells of a file %.100q, and that of stage %s is to be called %s and a format", f.Path, f.Stage, h.File)
	}
	name := path.Join(run.ResultsDir, filepath.Base(dir.Name()), f.Path)
	for _, other := range g.record.Files {
		if other.File == name {
			return fmt.Errorf("it tells of %s twice", f.Path)
		}
	}
	sum, size, err := hashed(dir, f.Path)
	switch {
	case err != nil:
		return fmt.Errorf("it tells of %s: %w", f.Path, err)
	case size != f.Size:
		return fmt.Errorf("it says that %s has %d bytes, there are %d", f.Path, f.Size, size)
	case sum != f.SHA256:
		return fmt.Errorf("it says that %s has SHA-256 %.64q, it has %s", f.Path, f.SHA256, sum)
	}
	g.record.Files = append(g.record.Files, run.ResultFile{Stage: f.Stage, File: name, Size: size, SHA256: sum})
	return nil
}

// hashed reads a regular file, and makes it durable.
func hashed(dir *os.Root, name string) (sum string, size int64, err error) {
	info, err := dir.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return "", 0, err
	}
	file, err := dir.Open(name)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	size, err = io.Copy(h, file)
	return hex.EncodeToString(h.Sum(nil)), size, errors.Join(err, file.Sync(), file.Close())
}

// removeOthers removes what is no file that was entered, and the directory where there
// is none; removed names one of them.
func (g *giver) removeOthers(dir *os.Root) (removed string, err error) {
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return "", fmt.Errorf("look at what it wrote: %w", err)
	}
	kept := map[string]bool{}
	for _, f := range g.record.Files {
		kept[path.Base(f.File)] = true
	}
	for _, e := range entries {
		if kept[e.Name()] {
			continue
		}
		removed = fmt.Sprintf("%.100q", e.Name())
		err = cmp.Or(err, dir.RemoveAll(e.Name()))
	}
	if len(kept) == 0 && err == nil {
		err = os.Remove(dir.Name())
	} else if err == nil {
		err = run.SyncDir(dir.Name())
	}
	return removed, err
}
