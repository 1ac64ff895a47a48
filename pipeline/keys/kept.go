package keys

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Kept is a certificate whose key this PC keeps.
type Kept struct {
	File        string // of the key
	Name        string // of a node, or "master" and the name of its PC
	Laboratory  string // what its CA is called
	Fingerprint string // of the CA
	Until       time.Time
	Trouble     string // why it is no good, as far as this PC knows; empty where it is
}

// Kept lists the keys that this PC keeps, those of the CA left out.
func (s *Store) Kept() ([]Kept, error) {
	files, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []Kept
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".key")
		if !ok || name == "ca" {
			continue
		}
		k := Kept{File: f.Name()}
		p, err := s.load(name)
		if err == nil {
			k.Name, k.Until = p.chain[0].Subject.CommonName, p.chain[0].NotAfter
			k.Laboratory, k.Fingerprint = p.ca().Subject.CommonName, Fingerprint(p.ca())
			list, needed := name+".crl", false
			if name == "master" {
				list, needed = "ca.crl", true
			}
			err = (&holder{store: s, list: list, needed: needed}).check(p.ca(), p.chain[0])
		}
		if err != nil {
			k.Trouble = err.Error()
		}
		all = append(all, k)
	}
	return all, nil
}
