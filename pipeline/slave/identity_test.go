package slave

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"tsrun/pipeline/wire"
)

func TestIdentityIsKept(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "runs")
	var all [8]wire.Identity // of processes that are started at once
	var making sync.WaitGroup
	for i := range all {
		making.Go(func() {
			var err error
			if all[i], err = findIdentity(data, "bob"); err != nil {
				t.Error(err)
			}
		})
	}
	making.Wait()
	same := func(i wire.Identity) bool { return bytes.Equal(i.Seed(), all[0].Seed()) }
	for _, i := range all {
		if !same(i) {
			t.Error("two processes of one directory have two identities")
		}
	}
	if other, err := findIdentity(data, "carol"); err != nil || same(other) {
		t.Errorf("two nodes have one identity, %v", err)
	}
	info, err := os.Stat(identityFile(data, "bob"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, _ := os.ReadDir(data); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
	for _, broken := range []string{"", "0102", "no identity"} {
		if err := os.WriteFile(identityFile(data, "bob"), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		made, err := findIdentity(data, "bob")
		again, _ := findIdentity(data, "bob")
		if err != nil || same(made) || !bytes.Equal(made.Seed(), again.Seed()) {
			t.Errorf("in the place of %q: %v", broken, err)
		}
	}
	if i, err := findIdentity(identityFile(data, "bob"), "bob"); err == nil || len(i.Seed()) != wire.IdentitySize {
		t.Errorf("where no directory can be: %v", err)
	}
}

// A slave that was killed is known again when it is started anew, and leaves no
// identity when it ends by itself.
func TestIdentityIsShown(t *testing.T) {
	t.Parallel()
	l := newLab(t, "", "", "")
	kept, err := findIdentity(l.data, "bob")
	if err != nil {
		t.Fatal(err)
	}
	j := wire.Join{}
	kept.Sign("bob", &j)
	owners := make(chan string, 1)
	l.onJoin = func(asked *wire.Join) wire.Reply {
		select {
		case owners <- wire.OwnerOf("bob", asked):
		default:
		}
		return wire.Reply{Welcome: l.welcome()}
	}
	if err := l.takePart(l.options()); err != nil {
		t.Fatal(err)
	}
	if got := <-owners; got != j.Owner {
		t.Errorf("the slave shows %q, want %q", got, j.Owner)
	}
	if left, _ := os.ReadDir(l.data); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
