package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// source is a Go file of the project that is no test.
type source struct {
	path string // from the project's root
	file *ast.File
}

// inPackage says that a file belongs to a package or to one below it.
func (s source) inPackage(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(s.path, name+"/") })
}

func sources(t *testing.T) (files *token.FileSet, found []source) {
	t.Helper()
	files = token.NewFileSet()
	for _, top := range []string{"cmd", "internal", "pipeline", "plugins", "sdk", "sim"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			found = append(found, source{strings.TrimPrefix(filepath.ToSlash(path), "../../"), file})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 200 {
		t.Fatalf("only %d files were found", len(found))
	}
	return files, found
}

// called returns "package.Function" of a call of a function of a package, as it
// is written, and "Function" of one without.
func called(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return ""
	}
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// forbidden are calls that some places must not have.
var forbidden = []struct {
	call  *regexp.Regexp
	where func(source) bool
	why   string
}{
	{regexp.MustCompile(`^time\.(Now|Since|Until|After|AfterFunc|Sleep|NewTimer|NewTicker|Tick)$`),
		func(s source) bool { return s.path == "pipeline/master/state.go" },
		"what a run does next is a pure function of its state and an event"},
	{regexp.MustCompile(`^fmt\.(Print|Printf|Println)$|^(print|println)$`),
		func(s source) bool {
			return s.inPackage("pipeline", "plugins", "sdk", "sim") && !s.inPackage("sdk/internal/faulty") // which does wrong on request
		},
		"standard output belongs to the command, and in a plugin to its handshake; log, or write to what the caller gives"},
	{regexp.MustCompile(`^os\.Exit$|^log\.(Print|Printf|Println|Fatal|Fatalf|Fatalln|Panic|Panicf)$`),
		func(s source) bool { return s.inPackage("pipeline", "sim") },
		"return an error; only a program's own main decides that it ends"},
	{regexp.MustCompile(`^(slog\.NewTextHandler|slog\.NewJSONHandler|slog\.New)$`),
		func(s source) bool {
			return s.inPackage("sdk/tagfile", "pipeline/align", "pipeline/track", "pipeline/correlate")
		},
		"arithmetic logs nothing"},
}

func TestForbiddenCalls(t *testing.T) {
	files, all := sources(t)
	for _, f := range forbidden {
		looked := 0
		for _, s := range all {
			if !f.where(s) {
				continue
			}
			looked++
			ast.Inspect(s.file, func(n ast.Node) bool {
				if name := called(n); name != "" && f.call.MatchString(name) {
					t.Errorf("%s: %s: %s", files.Position(n.Pos()), name, f.why)
				}
				return true
			})
		}
		if looked == 0 {
			t.Errorf("no file is where %s is forbidden", f.call)
		}
	}
}

// TestLogMessagesAreConstant: what varies in a line of a log is an attribute, so
// that lines can be searched by what they say.
func TestLogMessagesAreConstant(t *testing.T) {
	files, all := sources(t)
	method, looked := regexp.MustCompile(`^(log|slog)\.(Debug|Info|Warn|Error)$`), 0
	for _, s := range all {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			name := called(call)
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && name == "" {
				if x, ok := f.X.(*ast.SelectorExpr); ok { // s.log.Info
					name = x.Sel.Name + "." + f.Sel.Name
				}
			}
			if !method.MatchString(name) {
				return true
			}
			looked++
			if _, constant := call.Args[0].(*ast.BasicLit); !constant {
				t.Errorf("%s: say it in a constant message and attributes", files.Position(call.Pos()))
			}
			return true
		})
	}
	if looked < 20 {
		t.Errorf("only %d calls were found", looked)
	}
}

// TestEveryEventAndEffectIsHandled: the master's run is a function of events
// (types ev...) that returns effects (types do...). A type switch has no
// compiler that tells of a case that is left out.
func TestEveryEventAndEffectIsHandled(t *testing.T) {
	_, all := sources(t)
	kind := regexp.MustCompile(`^(ev|do)[A-Z]`)
	declared, handled := map[string]bool{}, map[string]bool{}
	for _, s := range all {
		if !s.inPackage("pipeline/master") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if kind.MatchString(n.Name.Name) {
					declared[n.Name.Name] = true
				}
			case *ast.TypeSwitchStmt:
				for _, clause := range n.Body.List {
					for _, c := range clause.(*ast.CaseClause).List {
						if name, ok := c.(*ast.Ident); ok {
							handled[name.Name] = true
						}
					}
				}
			}
			return true
		})
	}
	if len(declared) < 10 {
		t.Errorf("only %d events and effects were found", len(declared))
	}
	for name := range declared {
		if !handled[name] {
			t.Errorf("no type switch of pipeline/master handles %s", name)
		}
	}
}

// errorType is what a type is called that is an error: an Error, or one of the
// words of docs/architecture.md for what went wrong.
var errorType = regexp.MustCompile(`(Error|Failure|Refusal|Fault|Problems)$|^(error|failure|refusal|fault|problems)$`)

func TestErrorsAreNamedAsErrors(t *testing.T) {
	files, all := sources(t)
	types, values := 0, 0
	for _, s := range all {
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || d.Name.Name != "Error" || len(d.Type.Params.List) > 0 {
					continue
				}
				receiver := d.Recv.List[0].Type
				if star, ok := receiver.(*ast.StarExpr); ok {
					receiver = star.X
				}
				if name, ok := receiver.(*ast.Ident); ok {
					types++
					if !errorType.MatchString(name.Name) {
						t.Errorf("%s: %s is an error: call it so", files.Position(d.Pos()), name.Name)
					}
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					v, ok := spec.(*ast.ValueSpec)
					if !ok {
						continue
					}
					for i, value := range v.Values {
						if name := called(value); name != "errors.New" && name != "fmt.Errorf" {
							continue
						}
						values++
						if !strings.HasPrefix(strings.ToLower(v.Names[i].Name), "err") {
							t.Errorf("%s: %s is an error: call it err... or Err...", files.Position(v.Pos()), v.Names[i].Name)
						}
					}
				}
			}
		}
	}
	if types < 5 || values < 5 {
		t.Errorf("only %d types and %d values that are errors were found", types, values)
	}
}
