package run

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tsrun/pipeline/journal"
	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

// Names in a run directory. docs/run-directory.md describes each.
const (
	ManifestFile = "manifest.json"
	LogFile      = "log.jsonl"
	JournalFile  = "journal" // what resume needs; removed when nothing is missing any more
	SumsFile     = "SHA256SUMS"
	ReportFile   = "report.html"
	NotesDir     = "notes"        // a user's own, which nothing vouches for
	RawDir       = "raw"          // raw/NODE/: the segments, never changed
	ResultsDir   = "results"      // what the stages found
	RecipeDir    = recipe.KeptDir // the recipe as given, its parents, resolved.json and resolved.yaml
)

// Directory is the directory of one run while the run goes on. Its methods may
// be called by several goroutines, but a manifest belongs to one at a time.
type Directory struct {
	path    string
	log     *Log
	journal *journal.Journal // nil: none
	sealed  bool
}

// Create makes root/<UTC time>-<name> with its log. The directory is new: two
// runs of one name in one second get different ones.
func Create(root, name string, now time.Time) (*Directory, error) {
	if name == "" || strings.ContainsAny(name, "/\\\x00\n") || name == "." || name == ".." {
		return nil, fmt.Errorf("create run directory: %q cannot be part of a directory's name", name)
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, notWritable(root, err)
	}
	base := now.UTC().Format("20060102T150405Z") + "-" + name
	path := filepath.Join(root, base)
	err := os.Mkdir(path, 0o777)
	for n := 2; errors.Is(err, fs.ErrExist) && n <= 100; n++ {
		path = filepath.Join(root, fmt.Sprintf("%s-%d", base, n))
		err = os.Mkdir(path, 0o777)
	}
	if err != nil {
		return nil, notWritable(root, err)
	}
	d, err := begin(path)
	if err != nil { // half a directory would take room, and be listed
		return nil, notWritable(path, errors.Join(err, os.RemoveAll(path)))
	}
	return d, nil
}

// begin makes what every run directory has from its first moment.
func begin(path string) (*Directory, error) {
	for _, sub := range []string{RawDir, ResultsDir, RecipeDir} {
		if err := os.Mkdir(filepath.Join(path, sub), 0o777); err != nil {
			return nil, err
		}
	}
	log, err := newLog(filepath.Join(path, LogFile))
	if err != nil {
		return nil, err
	}
	if err := reserve(filepath.Join(path, reserveFile)); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &Directory{path: path, log: log}, nil
}

// Open opens the directory of a run that was made before, to finish it. The journal
// becomes the directory's.
func Open(path string, j *journal.Journal) (*Directory, error) {
	log, err := openLog(filepath.Join(path, LogFile))
	if err == nil {
		if err = reserve(filepath.Join(path, reserveFile)); err != nil {
			err = errors.Join(err, log.Close())
		}
	}
	if err != nil {
		return nil, &sdk.Failure{Code: "run-directory", Message: fmt.Sprintf("open run directory %s: %v", path, err),
			Hint: "make it writable, and free some space where its disk is full"}
	}
	for _, sub := range []string{".", RecipeDir, ResultsDir} {
		sweep(filepath.Join(path, sub))
	}
	return &Directory{path: path, log: log, journal: j}, nil
}

// NewJournal makes the journal of the run.
func (d *Directory) NewJournal() (*journal.Journal, error) {
	j, err := journal.Create(filepath.Join(d.path, JournalFile))
	if err != nil {
		return nil, notWritable(d.path, err)
	}
	d.journal = j
	return j, nil
}

// RemoveJournal removes the journal of a run of which nothing is missing any more.
func (d *Directory) RemoveJournal() error {
	if err := os.Remove(filepath.Join(d.path, JournalFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove journal: %w", err)
	}
	return nil
}

func notWritable(where string, err error) error {
	hint := "choose another place with --runs, or make this one writable"
	switch {
	case errors.Is(err, syscall.ENOSPC):
		hint = "free some space, or choose another place with --runs"
		if files, known := FreeFiles(filepath.Dir(where)); known && files == 0 {
			hint = "its disk has room for no more files, however small: remove some, or choose another place with --runs"
		}
	case errors.Is(err, syscall.EDQUOT):
		hint = "the quota of this user is used up there: remove something, or choose another place with --runs"
	case errors.Is(err, syscall.EFBIG):
		hint = fmt.Sprintf("this process may make no file of %d MiB: raise its limit (ulimit -f), or choose another place with --runs", reserveSize>>20)
	}
	return &sdk.Failure{
		Code:    "run-directory",
		Message: fmt.Sprintf("create run directory in %s: %v", where, err),
		Hint:    hint,
	}
}

// PointLatest points the symbolic link "latest" beside the directory at it,
// where the file system has such links: once there is something to be found in
// it. The link is replaced by rename, so that a reader finds the old or the new
// one. It is a convenience: nothing depends on its success.
func (d *Directory) PointLatest() {
	root, base := filepath.Split(d.path)
	temporary := filepath.Join(root, "."+base+".latest")
	if os.Symlink(base, temporary) == nil && os.Rename(temporary, filepath.Join(root, "latest")) != nil {
		_ = os.Remove(temporary)
	}
}

// Path is where the directory is.
func (d *Directory) Path() string { return d.path }

// Log is the run's log of all nodes.
func (d *Directory) Log() *Log { return d.log }

// Raw makes the directory of a node's segments and returns its path.
func (d *Directory) Raw(node string) (string, error) {
	if !fs.ValidPath(node) || strings.ContainsRune(node, '/') || node == "." {
		return "", fmt.Errorf("create directory of node %q: not a name", node)
	}
	path := filepath.Join(d.path, RawDir, node)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return "", notWritable(path, err)
	}
	return path, nil
}

// RecipeSource is one file a recipe was read from, byte for byte.
type RecipeSource struct {
	Path  string
	Bytes []byte
}

// KeepRecipe writes the recipe's files (the recipe itself first, then its
// parents) and its resolved form, for programs and as a recipe that repeats the
// run, and returns what the manifest says of them.
func (d *Directory) KeepRecipe(sources []RecipeSource, resolved *recipe.Recipe, repeats []byte, overrides []string) (RecipeRecord, error) {
	record := RecipeRecord{Files: []RecipeFile{}, Overrides: append([]string{}, overrides...)}
	taken := map[string]bool{recipe.ResolvedFile: true, recipe.RepeatsFile: true}
	for i, source := range sources {
		name := PlainName(filepath.Base(source.Path))
		for n := i + 1; taken[name]; n++ {
			name = fmt.Sprintf("%d-%s", n, PlainName(filepath.Base(source.Path)))
		}
		taken[name] = true
		if err := WriteAtomic(filepath.Join(d.path, RecipeDir, name), source.Bytes); err != nil {
			return RecipeRecord{}, fmt.Errorf("keep recipe: %w", err)
		}
		sum := sha256.Sum256(source.Bytes)
		record.Files = append(record.Files, RecipeFile{
			Path: source.Path, File: RecipeDir + "/" + name, SHA256: hex.EncodeToString(sum[:]),
		})
	}
	if len(record.Files) > 0 {
		record.File, record.SHA256 = record.Files[0].File, record.Files[0].SHA256
	}
	text, err := json.MarshalIndent(resolved, "", "  ")
	if err != nil {
		return RecipeRecord{}, fmt.Errorf("keep resolved recipe: %w", err)
	}
	record.Resolved = RecipeDir + "/" + recipe.ResolvedFile
	if err := WriteAtomic(filepath.Join(d.path, record.Resolved), append(text, '\n')); err != nil {
		return RecipeRecord{}, fmt.Errorf("keep resolved recipe: %w", err)
	}
	record.Repeats = RecipeDir + "/" + recipe.RepeatsFile
	if err := WriteAtomic(filepath.Join(d.path, record.Repeats), repeats); err != nil {
		return RecipeRecord{}, fmt.Errorf("keep resolved recipe: %w", err)
	}
	return record, nil
}

// plainName keeps the characters of a file name that need no quoting anywhere.
func PlainName(name string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	if strings.Trim(plain, ".") == "" {
		return "recipe.yaml"
	}
	return plain
}

// WriteManifest judges the manifest and replaces manifest.json by it, so that
// a reader and a crash find the old or the new one. While Ended is not set it
// says that the run has not ended.
func (d *Directory) WriteManifest(m *Manifest) error {
	if d.sealed {
		return errors.New("write manifest: the run directory is sealed")
	}
	m.Judge()
	err := Atomically(filepath.Join(d.path, ManifestFile), func(w io.Writer) error { return writeManifest(w, m) })
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

const (
	// reserveFile keeps room free for Seal: a disk that the tags have filled must
	// still take the manifest that says so.
	reserveFile = "reserve.tmp"
	reserveSize = 1 << 20 // bytes, beside what the segments need
	// segmentText bounds what a segment adds to the manifest, its reason there and
	// SHA256SUMS, beside its file's name, which stands in each of them.
	segmentText = 500
)

// Reserve keeps room for the manifest of so many segments with names as long
// as file, as far as the disk has it; what was kept before stays.
func (d *Directory) Reserve(segments int, file string) error {
	f, err := os.OpenFile(filepath.Join(d.path, reserveFile), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("reserve room for the manifest: %w", err)
	}
	if err := errors.Join(Grow(f, ManifestRoom(segments, file)), f.Close()); err != nil {
		return fmt.Errorf("reserve room for the manifest: %w", err)
	}
	return nil
}

// ManifestRoom is what the manifest of so many segments with names as long as
// file and what goes with it take at most, in bytes.
func ManifestRoom(segments int, file string) int64 {
	return reserveSize + int64(segments)*int64(segmentText+3*len(file))
}

func reserve(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(Grow(f, reserveSize), f.Close())
}

// Conclude enters what the last manifest says of the whole run. The common time is by the
// starts of the nodes where no stage has looked for their clocks.
func Conclude(m *Manifest) {
	if m.Common == nil && m.Recorded() {
		m.Common = m.FindCommon(m.StartScale)
	}
	m.Judge()
}

// Seal writes the last manifest and SHA256SUMS. Nothing but the log is written
// after it.
func (d *Directory) Seal(m *Manifest) error {
	if err := os.Remove(filepath.Join(d.path, reserveFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release reserved space: %w", err)
	}
	Conclude(m)
	if err := d.WriteManifest(m); err != nil {
		return err
	}
	d.sealed = true
	return writeSums(d.path, m)
}

// Close ends the log and the journal.
func (d *Directory) Close() error {
	err := d.log.Close()
	if d.journal != nil {
		err = errors.Join(err, d.journal.Close())
	}
	return err
}
