package run

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// lackOf is the code of a finding about a file that could not be read: that it is not
// there, or is none, or that this user or its disk does not give it, which says nothing
// of its bytes.
func lackOf(err error) string {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EIO) {
		return "unreadable"
	}
	return "missing"
}

// extras finds what lies among the raw files without being in the manifest.
func (v *verifier) extras(m *Manifest) {
	known := map[string]bool{}
	for _, s := range m.Segments {
		known[s.File] = true
	}
	err := fs.WalkDir(v.root.FS(), RawDir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			v.found(name, lackOf(err), "%v", withoutPath(err))
		case entry.IsDir() || known[name]:
		case unfinished(path.Base(name)):
			v.found(name, "extra", "a file that was never finished; its bytes are not proven")
		default:
			v.found(name, "extra", "the manifest does not know it")
		}
		return nil
	})
	if err != nil {
		v.found(RawDir, lackOf(err), "%v", withoutPath(err))
	}
}

// maxNotes is how many notes are listed.
const maxNotes = 1000

// notes lists what the user has put beside the run.
func (v *verifier) notes() {
	_ = fs.WalkDir(v.root.FS(), NotesDir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case len(v.result.Notes) == maxNotes:
			return fs.SkipAll
		case err == nil && !entry.IsDir():
			v.result.Notes = append(v.result.Notes, name)
		}
		return nil // one that cannot be listed is no matter of the run
	})
}

// beside looks for what came into the directory after SHA256SUMS was written, which
// names every file of the run: among results and recipe a finding, elsewhere only said.
func (v *verifier) beside(sums map[string]string) {
	if sums == nil {
		return
	}
	_ = fs.WalkDir(v.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		_, named := sums[name]
		switch top, _, _ := strings.Cut(name, "/"); {
		case err != nil, named: // what cannot be listed holds no file that is known
		case name == RawDir || name == NotesDir:
			if entry.IsDir() {
				return fs.SkipDir // by [verifier.extras] and [verifier.notes]
			}
			v.found(name, "extra", "%s does not name it", SumsFile)
		case entry.IsDir() || ownFile(name):
		case top == ResultsDir || top == RecipeDir:
			v.found(name, "extra", "%s does not name it: it came after the run; what is yours belongs into %s/", SumsFile, NotesDir)
		case len(v.result.Beside) < maxNotes:
			v.result.Beside = append(v.result.Beside, name)
		}
		return nil
	})
}

// ownFile says whether a file is one of tsrun's that SHA256SUMS never names.
func ownFile(name string) bool {
	switch name {
	case SumsFile, LogFile, JournalFile, CollectedFile, ReceivedFile:
		return true
	}
	return false
}
