// Command etcd gives the etcd server its usual name: upstream's main package
// ends in server/v3, which the go command would call "server".
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
