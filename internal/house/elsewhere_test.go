package house

import (
	"os"
	"testing"

	typed "golang.org/x/tools/go/packages"
)

// The program is typed without a mistake on the other systems that it is for, too: make
// lint-others, which builds it there, takes ten times as long.
func TestTypesElsewhere(t *testing.T) {
	for _, system := range [][2]string{{"darwin", "arm64"}, {"windows", "amd64"}} {
		t.Run(system[0], func(t *testing.T) {
			found, err := typed.Load(&typed.Config{Mode: typed.LoadAllSyntax, Dir: "../..", Context: t.Context(),
				Env: append(os.Environ(), "GOOS="+system[0], "GOARCH="+system[1], "CGO_ENABLED=0")}, "./cmd/tsrun")
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			typed.Visit(found, nil, func(p *typed.Package) {
				seen++
				for _, e := range p.Errors {
					t.Error(e)
				}
			})
			if seen < 100 {
				t.Errorf("only %d packages were looked at", seen)
			}
		})
	}
}
