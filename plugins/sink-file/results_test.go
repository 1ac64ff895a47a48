package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/sdk"
)

// playsAs has the test binary be the plugin.
const playsAs = "TSRUN_TEST_SINK_FILE"

func TestMain(m *testing.M) {
	if os.Getenv(playsAs) != "" {
		main()
	}
	os.Exit(m.Run())
}

// written is what the program answers for one table, and the file that it wrote.
func written(t *testing.T, format, columns, rows string) (file []byte, complaint string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "results")
	cmd.Env, cmd.Dir = append(os.Environ(), playsAs+"=1"), dir
	cmd.Stdin = strings.NewReader(`{"version":1,"sink":"sink-file","config":{"format":"` + format + `"},"run":"0123","simulated":true,"results":1}` + "\n" +
		`{"stage":"rates","kind":"rates","file":"rates","columns":[` + columns + `],"rows":2}` + "\n" + rows)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, said.String()
	}
	var a sdk.ResultsAnswer
	if err := json.Unmarshal(out, &a); err != nil || len(a.Files) != 1 {
		t.Fatalf("%v %s", err, out)
	}
	if file, err = os.ReadFile(filepath.Join(dir, a.Files[0].Path)); err != nil {
		t.Fatal(err)
	}
	return file, ""
}

// TestArraysKeepAllDigits: integers that a floating-point number would not have are no
// such numbers where some row has none.
func TestArraysKeepAllDigits(t *testing.T) {
	file, complaint := written(t, "npz", `{"name":"whole","type":"integer"},{"name":"some","type":"integer"},{"name":"long","type":"integer"}`,
		"9007199254740993,7,9007199254740993\n-1,,\n")
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err, complaint)
	}
	arrays := map[string]string{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		arrays[f.Name] = string(text)
	}
	wide := func(text string) string {
		var b bytes.Buffer
		for _, r := range text {
			binary.Write(&b, binary.LittleEndian, r)
		}
		return b.String() + strings.Repeat("\x00", 4*16)
	}
	for name, want := range map[string][2]string{"whole.npy": {"<i8", string(binary.LittleEndian.AppendUint64(nil, 1<<53+1))}, "some.npy": {"<f8", "\x00\x00\x1c\x40"}, "long.npy": {"<U16", wide("9007199254740993")}} {
		if a := arrays[name]; !strings.Contains(a, want[0]) || !strings.Contains(a, want[1]) {
			t.Errorf("%s: %q", name, a)
		}
	}
	if !strings.Contains(strings.ReplaceAll(arrays["meta.npy"], "\x00", ""), `"simulated":true`) {
		t.Errorf("%q", arrays["meta.npy"])
	}
}

// TestColumnOfTheArchive: a column may not stand where the archive says where it is from.
func TestColumnOfTheArchive(t *testing.T) {
	meta := `{"name":"meta","type":"integer"}`
	if file, complaint := written(t, "npz", meta, "1\n2\n"); file != nil || !strings.Contains(complaint, "two arrays") {
		t.Errorf("%q, %q", file, complaint)
	}
	if file, complaint := written(t, "csv", meta, "1\n2\n"); !strings.HasSuffix(string(file), "\nmeta\n1\n2\n") || !strings.Contains(string(file), "SIMULATED") {
		t.Errorf("%q, %q", file, complaint)
	}
	if _, complaint := written(t, "bin", meta, "1\n2\n"); !strings.Contains(complaint, "bin") {
		t.Error(complaint)
	}
}
