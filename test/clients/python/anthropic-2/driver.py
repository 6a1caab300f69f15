from anthropic_driver import main

main()
