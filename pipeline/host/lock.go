package host

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tsrun/sdk"
)

// LockFile is the name of the file beside a recipe that pins its plugins.
const LockFile = "tsrun.lock"

// maxLock bounds a lock file; it has a line for each plugin.
const maxLock = 1 << 20

// Lock pins plugins by the SHA-256 of their programs, in hexadecimal digits; a
// plugin may have one for each kind of PC. A nil Lock pins nothing; with any other
// a plugin that is not in it is refused.
type Lock map[string][]string

// ReadLock reads the lock file in the directory of a recipe: a line SHA-256 and
// name for each program, as sha256sum prints them, or a remark after #. There is
// none: nil.
func ReadLock(dir string) (Lock, error) {
	path := filepath.Join(dir, LockFile)
	text, err := readBounded(path, maxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &sdk.Failure{Code: "plugin-lock", Message: fmt.Sprintf("read the lock of plugins: %v", err)}
	}
	l, number := Lock{}, 0
	for line := range strings.Lines(string(text)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) == 2 {
			sum, err := hex.DecodeString(words[0])
			if name := words[1]; err == nil && len(sum) == 32 && validName.MatchString(name) {
				l[name] = append(l[name], strings.ToLower(words[0]))
				continue
			}
		}
		return nil, &sdk.Failure{Code: "plugin-lock", Message: fmt.Sprintf("read the lock of plugins: line %d of %s is no SHA-256 and name: %.100q", number, path, line),
			Hint: "write it anew: tsrun plugin lock RECIPE"}
	}
	return l, nil
}

// readBounded reads a file of at most so many bytes. What is no file, such as a
// pipe that nobody writes to, is refused.
func readBounded(path string, most int64) ([]byte, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, cmp.Or(err, fmt.Errorf("%s is no file", path))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return text, err
}

// Check refuses a program that the lock does not have under the name; where says
// which program it is.
func (l Lock) Check(name, sum, where string) *sdk.Failure {
	if l == nil || slices.Contains(l[name], strings.ToLower(sum)) {
		return nil
	}
	const hint = "put the program back that it pins, or, if the change is meant, write tsrun plugin lock RECIPE"
	if len(l[name]) == 0 {
		return &sdk.Failure{Code: "plugin-changed", Hint: hint,
			Message: fmt.Sprintf("plugin %s at %s is not in %s beside the recipe, which pins every plugin", name, where, LockFile)}
	}
	return &sdk.Failure{Code: "plugin-changed", Hint: hint,
		Message: fmt.Sprintf("plugin %s at %s has SHA-256 %s, %s beside the recipe has %s", name, where, sum, LockFile, strings.Join(l[name], " or "))}
}

// Pin adds a program to the lock.
func (l Lock) Pin(c Component) {
	if sum := hex.EncodeToString(c.SHA256[:]); !slices.Contains(l[c.Name], sum) {
		l[c.Name] = append(l[c.Name], sum)
	}
}

// Write writes the lock file in the directory of a recipe, whole or not at all.
func (l Lock) Write(dir string) error {
	var lines []string
	for name, sums := range l {
		for _, sum := range sums {
			lines = append(lines, sum+"  "+name+"\n")
		}
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:]+a, b[64:]+b) })
	text := "# plugins of the recipes in this directory, pinned by tsrun plugin lock\n" + strings.Join(lines, "")
	path := filepath.Join(dir, LockFile)
	if err := os.WriteFile(path+".tmp", []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the lock of plugins: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write the lock of plugins: %w", err)
	}
	return nil
}
