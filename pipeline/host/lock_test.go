package host

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/sdk"
)

func TestLockPins(t *testing.T) {
	dir := t.TempDir()
	if l, err := ReadLock(dir); l != nil || err != nil {
		t.Fatalf("without a file: %v, %v", l, err)
	}
	var none Lock
	if refusal := none.Check("tc-test", "00", "here"); refusal != nil {
		t.Errorf("no lock refuses: %v", refusal)
	}
	one, other := Component{Name: "tc-test", SHA256: [32]byte{1}}, Component{Name: "tc-test", SHA256: [32]byte{2}}
	l := Lock{}
	l.Pin(one)
	l.Pin(one)
	l.Pin(Component{Name: "sink-test", SHA256: [32]byte{9}})
	if err := l.Write(dir); err != nil {
		t.Fatal(err)
	}
	l, err := ReadLock(dir)
	if err != nil || len(l) != 2 || len(l["tc-test"]) != 1 {
		t.Fatalf("read back: %v, %v", l, err)
	}
	sum := func(c Component) string { return hex.EncodeToString(c.SHA256[:]) }
	if refusal := l.Check("tc-test", sum(one), "here"); refusal != nil {
		t.Error(refusal)
	}
	for name, c := range map[string]Component{"tc-test": other, "tc-new": one} {
		if refusal := l.Check(name, sum(c), "here"); refusal == nil || refusal.Code != "plugin-changed" || !strings.Contains(refusal.Hint, "tsrun plugin lock") {
			t.Errorf("%s: %v", name, refusal)
		}
	}
	l.Pin(other) // of another kind of PC
	if refusal := l.Check("tc-test", sum(other), "there"); refusal != nil {
		t.Error(refusal)
	}
}

// TestReadsFilesOnly: what never ends, or is no file, is not read.
func TestReadsFilesOnly(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int64) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for size, good := range map[int64]bool{0: true, maxLock: true, maxLock + 1: false, 1 << 40: false} {
		text, err := readBounded(write("sized", size), maxLock)
		if (err == nil) != good || int64(len(text)) > maxLock+1 {
			t.Errorf("%d bytes: %d are read, %v", size, len(text), err)
		}
	}
	for _, path := range []string{dir, os.DevNull, filepath.Join(dir, "absent")} {
		if _, err := readBounded(path, maxLock); err == nil {
			t.Errorf("%s is read", path)
		}
	}
}

func TestLockRefusesWhatItCannotRead(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for text, good := range map[string]bool{
		"": true, "# nothing\n\n": true, sum + "  tc-test\n": true, sum + " tc-test # here": true,
		sum: false, "tc-test " + sum: false, sum[:62] + " tc-test": false, sum + " ../tc-test": false, sum + " tc-test 1.0": false, "\x00\xff": false,
		strings.Repeat("# \n", maxLock): false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, LockFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := ReadLock(dir)
		var f *sdk.Failure
		if (err == nil) != good || good && l == nil || !good && (!errors.As(err, &f) || f.Code != "plugin-lock") {
			t.Errorf("%.80q: %v, %v", text, l, err)
		}
	}
}

// TestPluginThatAnyoneMayChangeIsRefused: by its mode or that of its directory,
// also behind a link.
func TestPluginThatAnyoneMayChangeIsRefused(t *testing.T) {
	for _, what := range []string{"nothing", "program", "directory", "directory behind a link"} {
		real, dir := t.TempDir(), t.TempDir()
		at := filepath.Join(dir, "tc-test")
		path := at
		if what == "directory behind a link" {
			path = filepath.Join(real, "tc-test")
			if err := os.Symlink(path, at); err != nil {
				t.Fatal(err)
			}
		}
		err := os.WriteFile(path, []byte("#!/bin/sh\n# "+sdk.CookieValue), 0o755)
		switch what {
		case "program":
			err = errors.Join(err, os.Chmod(path, 0o757))
		case "directory":
			err = errors.Join(err, os.Chmod(dir, 0o777))
		case "directory behind a link":
			err = errors.Join(err, os.Chmod(real, 0o1777))
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = Find([]string{dir}, "tc-test")
		if what == "nothing" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || failureOf(t, err).Code != "plugin-unsafe" || !strings.Contains(err.Error(), "chmod o-w") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
