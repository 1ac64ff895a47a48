package slave

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tsrun/pipeline/wire"
)

// identityFile is where a node keeps its identity, in its data directory.
func identityFile(data, node string) string { return filepath.Join(data, "."+node+".identity") }

// findIdentity returns the identity that is kept in a data directory, and makes it
// where there is none. The error says why it cannot be kept; it is good for this
// process then.
func findIdentity(data, node string) (wire.Identity, error) {
	path := identityFile(data, node)
	if i, ok := readIdentity(path); ok {
		return i, nil
	}
	i := wire.NewIdentity()
	if err := os.MkdirAll(data, 0o755); err != nil {
		return i, fmt.Errorf("keep the identity of this slave: %w", err)
	}
	// Under its name it is whole, and of two processes that make one both have the same.
	f, err := os.CreateTemp(data, ".identity-") // 0600
	if err != nil {
		return i, fmt.Errorf("keep the identity of this slave: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(i.Seed()) + "\n")
	if err = errors.Join(err, f.Close()); err == nil && os.Link(f.Name(), path) != nil {
		if other, ok := readIdentity(path); ok {
			return other, nil
		}
		err = os.Rename(f.Name(), path) // what is there is none, or nothing can be linked here
	}
	if err != nil {
		return i, fmt.Errorf("keep the identity of this slave: %w", err)
	}
	return i, nil
}

func readIdentity(path string) (wire.Identity, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return wire.Identity{}, false
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return wire.Identity{}, false
	}
	return wire.ParseIdentity(seed)
}

// identify gives a slave its identity where nothing else shows whose process it is:
// neither a certificate nor the key of the master that has started it.
func (j *joiner) identify() {
	if j.options.Security != nil || j.options.Key != "" {
		return
	}
	i, err := findIdentity(j.options.Data, j.options.Node)
	if err != nil {
		j.options.Log.Warn("started anew, this slave will not be known again", "error", err)
	}
	j.identity = &i
}

// forget removes the identity of a process that ends by itself: it leaves no place to
// be taken again. For what it holds of a run, its ledger speaks.
func (j *joiner) forget() {
	if j.identity != nil {
		_ = os.Remove(identityFile(j.options.Data, j.options.Node)) // what stays does no harm
	}
}
