package host

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestFinderFindsAcrossWrites cuts a text into pieces of any size.
func TestFinderFindsAcrossWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const text = "abcab"
		body := rapid.StringOfN(rapid.SampledFrom([]rune("abc")), 0, 40, -1).Draw(t, "body")
		want := false
		for i := range body {
			want = want || len(body)-i >= len(text) && body[i:i+len(text)] == text
		}
		f := &finder{text: []byte(text)}
		for rest := []byte(body); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			if _, err := f.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if f.found != want {
			t.Fatalf("found %v, want %v", f.found, want)
		}
	})
}

func TestFindReadsTheDescriptionBesideTheBinary(t *testing.T) {
	dir := pluginDir(t, "tc-test")
	c, err := Find([]string{"/no/such/dir", dir}, "tc-test")
	if err != nil || c.Description != nil || c.Path != filepath.Join(dir, "tc-test") || c.SHA256 == [32]byte{} {
		t.Fatalf("without a description: %+v, %v", c, err)
	}
	text, err := exec.Command(c.Path, "--describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Path+".json", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Find([]string{dir}, "tc-test"); err != nil {
		t.Fatal(err)
	}
	if c.Version != "1.2.3" || c.Description == nil || len(c.Description.Drivers) != 1 || len(c.Description.Sinks) != 1 {
		t.Errorf("description: %+v", c)
	}
	if err := checkConfig(c.Description.Drivers[0].Schema, json.RawMessage(`{"spacing":"5 ns"}`), ""); err != nil {
		t.Errorf("a good configuration is refused: %v", err)
	}
	if err := os.WriteFile(c.Path+".json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Find([]string{dir}, "tc-test"); failureOf(t, err).Code != "bad-description" {
		t.Errorf("a broken description gives %v", err)
	}
}

// TestChangedProgramIsReadAgain changes a program in each way that keeps its
// size after it was hashed: written over in its place, replaced, or another one
// reached by a link of the same name.
func TestChangedProgramIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tc-test")
	at := time.Now()
	write := func(path, text string) {
		t.Helper()
		err := os.WriteFile(path, []byte(text), 0o700)
		at = at.Add(time.Second) // a file system may note times in steps of milliseconds
		if err = errors.Join(err, os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	look := func() [32]byte {
		t.Helper()
		for range 2 {
			c, err := Find([]string{dir}, "tc-test")
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil || c.SHA256 != sha256.Sum256(text) {
				t.Fatalf("a wrong hash of %q (%v)", text, err)
			}
		}
		c, _ := Find([]string{dir}, "tc-test")
		return c.SHA256
	}
	write(path+".json", `{"name": "tc-test"}`)
	write(path, "one")
	first := look()
	write(path, "two")
	if look() == first {
		t.Error("written over: the old hash")
	}
	for _, text := range []string{"six", "ten"} {
		other := filepath.Join(dir, text)
		write(other, text)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(other, path); err != nil {
			t.Fatal(err)
		}
		look()
	}
	if err := os.Remove(path + ".json"); err != nil {
		t.Fatal(err)
	}
	if _, err := Find([]string{dir}, "tc-test"); err == nil {
		t.Error("a program without the cookie is a plugin once its description is gone")
	}
}

func TestPluginRunByHandSaysWhatItIs(t *testing.T) {
	out, err := exec.Command(filepath.Join(pluginDir(t, "tc-test"), "tc-test")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "plugin of tsrun") || !strings.Contains(string(out), "--describe") {
		t.Errorf("%v: %s", err, out)
	}
}
