from google_genai_driver import main

main()
