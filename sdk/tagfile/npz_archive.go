package tagfile

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// Archive writes arrays of numpy into one file, as they are, not compressed.
type Archive struct {
	zip   *zip.Writer
	names map[string]bool
}

// NewArchive begins a file. Its last bytes are written by Close.
func NewArchive(w io.Writer) *Archive { return &Archive{zip.NewWriter(w), map[string]bool{}} }

// Close ends the file.
func (a *Archive) Close() error { return a.zip.Close() }

// Integers adds an array of 64-bit integers.
func (a *Archive) Integers(name string, values []int64) error {
	return a.add(name, "<i8", oneDimension(len(values)), writing(values))
}

// Numbers adds an array of 64-bit floating-point numbers.
func (a *Archive) Numbers(name string, values []float64) error {
	return a.add(name, "<f8", oneDimension(len(values)), writing(values))
}

// Texts adds an array of texts, each as wide as the longest.
func (a *Archive) Texts(name string, values []string) error {
	longest := 1
	for _, v := range values {
		longest = max(longest, utf8.RuneCountInString(v))
	}
	return a.add(name, fmt.Sprintf("<U%d", longest), oneDimension(len(values)), func(w io.Writer) error {
		wide := make([]rune, longest)
		for _, v := range values {
			clear(wide)
			copy(wide, []rune(v))
			if err := binary.Write(w, binary.LittleEndian, wide); err != nil {
				return err
			}
		}
		return nil
	})
}

// About adds what the arrays are and where they are from, as JSON in an array of one text.
func (a *Archive) About(what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	runes := []rune(string(text))
	return a.add(npzAbout, fmt.Sprintf("<U%d", len(runes)), "()", writing(runes))
}

func oneDimension(n int) string { return fmt.Sprintf("(%d,)", n) }

func writing(data any) func(io.Writer) error {
	return func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, data) }
}

// add adds an array. Of two of one name a reader would find one alone.
func (a *Archive) add(name, descr, shape string, data func(io.Writer) error) error {
	if a.names[name] {
		return fmt.Errorf("there are two arrays %.64q; %q says where all are from: write another format", name, npzAbout)
	}
	a.names[name] = true
	w, err := a.zip.CreateHeader(&zip.FileHeader{Name: name + npySuffix, Method: zip.Store})
	if err == nil {
		_, err = w.Write(npyHead("'"+descr+"'", shape))
	}
	if err == nil {
		err = data(w)
	}
	return err
}
