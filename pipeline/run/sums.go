package run

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"tsrun/pipeline/recipe"
	words "tsrun/pipeline/text"
)

// Limits on what is read back from a run directory.
const (
	maxManifest = 1 << 30
	maxSums     = 256 << 20
)

// writeManifest writes a manifest with a line for each segment. There may be
// hundreds of thousands: only one is in memory as text.
func writeManifest(w io.Writer, m *Manifest) error {
	short := *m
	short.Segments = []Segment{}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(short); err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	// No text within the manifest can hold this: a line break is written as \n there.
	const key = "\n  \"segments\": ["
	before, after, _ := strings.Cut(text.String(), key)
	if _, err := io.WriteString(w, before+key); err != nil {
		return err
	}
	if err := writeSegments(w, m.Segments); err != nil {
		return err
	}
	_, err := io.WriteString(w, after)
	return err
}

// writeSegments writes the elements of a list, a line each.
func writeSegments(w io.Writer, segments []Segment) error {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	for i, s := range segments {
		line.Reset()
		if i > 0 {
			line.WriteByte(',')
		}
		line.WriteString("\n    ")
		if err := e.Encode(s); err != nil {
			return fmt.Errorf("encode segment %s: %w", s.File, err)
		}
		if _, err := w.Write(bytes.TrimSuffix(line.Bytes(), []byte("\n"))); err != nil {
			return err
		}
	}
	if len(segments) == 0 {
		return nil
	}
	_, err := io.WriteString(w, "\n  ")
	return err
}

// ReadManifest reads the manifest of a run directory. Nothing it says is
// believed but its form; [Verify] proves the rest.
func ReadManifest(dir string) (*Manifest, error) {
	root, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	m, err := readManifest(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, NoRun(dir)
	}
	return m, err
}

// ReadRun reads what a run directory says of itself: its manifest and the
// recipe as it was resolved.
func ReadRun(dir string) (*Manifest, *recipe.Recipe, error) {
	root, err := openRun(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	m, err := readManifest(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, NoRun(dir)
	}
	if err != nil {
		return nil, nil, err
	}
	if !fs.ValidPath(m.Recipe.Resolved) {
		return nil, nil, fmt.Errorf("read recipe of the run: the manifest names %q, which is no file of it", m.Recipe.Resolved)
	}
	text, err := readBounded(root, m.Recipe.Resolved, maxManifest)
	if err != nil {
		return nil, nil, lacksRecipe(dir, m.Recipe.Resolved, err)
	}
	r := new(recipe.Recipe)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, nil, fmt.Errorf("read recipe of the run: %s: %w", m.Recipe.Resolved, err)
	}
	return m, r, nil
}

// lacksRecipe says that a file of the recipe that a run keeps cannot be read.
func lacksRecipe(dir, file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no %s, which its manifest names: it was copied without its %s/, or that was removed; copy it whole, or name the run where it was made", dir, file, RecipeDir)
	}
	return fmt.Errorf("read recipe of the run, %s: %w", filepath.Join(dir, file), withoutPath(err))
}

// IsRun says whether a path is a run directory.
func IsRun(path string) bool {
	info, err := os.Stat(filepath.Join(path, ManifestFile))
	return err == nil && info.Mode().IsRegular()
}

func readManifest(root *os.Root) (*Manifest, error) {
	text, err := readBounded(root, ManifestFile, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m := new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("read manifest: %s is damaged, or of something else than a run: %w", ManifestFile, err)
	}
	if m.Version > ManifestVersion {
		return nil, fmt.Errorf("read manifest: %s has version %d, this release reads %d; use that of tsrun that made it (%s), or a newer one", ManifestFile, m.Version, ManifestVersion, words.Printable(m.Tsrun[:min(len(m.Tsrun), 64)]))
	}
	if m.Nodes == nil { // which a run has from its first manifest on
		return nil, fmt.Errorf("read manifest: %s is damaged, or of something else than a run: it names no nodes", ManifestFile)
	}
	return m, nil
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(root *os.Root, name string, limit int64) ([]byte, error) {
	file, _, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s: longer than %d bytes", name, limit)
	}
	return text, err
}

// openRegular opens a file below root and refuses whatever is not one: a pipe
// would wait for ever, and a link may lead elsewhere.
func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: not a regular file", name)
	}
	file, err := root.Open(name)
	return file, info, err
}

// writeSums writes SHA256SUMS in the form sha256sum reads: all files but the
// log, which takes lines to the very end, and what is not finished. A segment
// that was proven is not read a second time.
func writeSums(dir string, m *Manifest) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", SumsFile, err)
	}
	defer root.Close()
	proven := map[string]string{}
	for _, s := range m.Segments {
		if s.Verified {
			proven[s.File] = s.SHA256
		}
	}
	names, err := finishedFiles(root)
	if err != nil {
		return fmt.Errorf("write %s: %w", SumsFile, err)
	}
	h := newHasher()
	err = Atomically(filepath.Join(dir, SumsFile), func(w io.Writer) error {
		for _, name := range names {
			sum, ok := proven[name]
			if !ok {
				if sum, _, err = h.file(root, name); err != nil {
					return err
				}
			}
			if _, err := fmt.Fprintf(w, "%s  %s\n", sum, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", SumsFile, err)
	}
	return nil
}

// finishedFiles lists the regular files SHA256SUMS covers, by name.
func finishedFiles(root *os.Root) ([]string, error) {
	var names []string
	err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if name == NotesDir && entry != nil && entry.IsDir() {
			return fs.SkipDir
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if ownFile(name) || unfinished(name) {
			return nil
		}
		if strings.ContainsAny(name, "\\\n\r") {
			return fmt.Errorf("file name %q needs quoting in %s", name, SumsFile)
		}
		names = append(names, name)
		return nil
	})
	sort.Strings(names)
	return names, err
}

// unfinished says whether a file is still being written, or was when the run died.
func unfinished(name string) bool {
	return strings.HasSuffix(name, ".part") || strings.HasSuffix(name, ".tmp")
}

// hasher computes the SHA-256 of one file after another.
type hasher struct {
	sum hash.Hash
	buf []byte
}

func newHasher() *hasher { return &hasher{sha256.New(), make([]byte, 256<<10)} }

// file returns the SHA-256 of a file below root and its size.
func (h *hasher) file(root *os.Root, name string) (string, int64, error) {
	file, _, err := openRegular(root, name)
	if err != nil {
		return "", 0, err
	}
	return h.opened(file, name)
}

// opened is file for one that is open; it closes it.
func (h *hasher) opened(file *os.File, name string) (string, int64, error) {
	defer file.Close()
	h.sum.Reset()
	size, err := io.CopyBuffer(h.sum, struct{ io.Reader }{file}, h.buf)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", name, err)
	}
	return hex.EncodeToString(h.sum.Sum(nil)), size, nil
}

// readSums reads SHA256SUMS into name: sum.
func readSums(root *os.Root) (map[string]string, error) {
	text, err := readBounded(root, SumsFile, maxSums)
	if err != nil {
		return nil, err
	}
	return parseSums(text)
}

func parseSums(text []byte) (map[string]string, error) {
	sums := map[string]string{}
	for n := 1; len(text) > 0; n++ {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		sum, name, ok := strings.Cut(string(line), "  ")
		if raw, err := hex.DecodeString(sum); !ended || !ok || err != nil || len(raw) != sha256.Size || name == "" {
			return nil, fmt.Errorf("%s:%d: not a line of sha256sum", SumsFile, n)
		}
		if strings.HasSuffix(name, "\r") {
			return nil, fmt.Errorf("%s:%d: the line ends with CR LF, and sha256sum's with LF: something has converted the file, such as git with autocrlf, and perhaps others", SumsFile, n)
		}
		if _, twice := sums[name]; twice {
			return nil, fmt.Errorf("%s:%d: %s is listed twice", SumsFile, n, name)
		}
		sums[name], text = sum, rest
	}
	return sums, nil
}

// OpenFile opens a regular file of a run directory, named as in its manifest. Nothing
// outside the directory is opened.
func OpenFile(dir, name string) (io.ReadCloser, error) {
	root, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if !fs.ValidPath(name) {
		return nil, fmt.Errorf("%q is no file of a run", name)
	}
	file, _, err := openRegular(root, name)
	if err != nil {
		return nil, withoutPath(err)
	}
	return file, nil
}

// ProveFile says whether a file of a run directory, named as in its manifest, has the
// sum that SHA256SUMS says; one that is not listed has not.
func ProveFile(dir, name string) (bool, error) {
	root, err := openRun(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	if !fs.ValidPath(name) {
		return false, fmt.Errorf("%q is no file of a run", name)
	}
	sum, _, err := newHasher().file(root, name)
	if err != nil {
		return false, lacksRecipe(dir, name, err)
	}
	sums, err := readSums(root)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && sums[name] == sum, err
}
