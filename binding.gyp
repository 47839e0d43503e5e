{
  # Hands over to CMakeLists.txt, the only build description, for whoever calls node-gyp. The output is never
  # written, so that every call asks CMake what is out of date.
  "targets": [
    {
      "target_name": "ddsc",
      "type": "none",
      "actions": [
        {
          "action_name": "build_addon",
          "message": "Building build/Release/ddsc.node with cmake-js",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["<(INTERMEDIATE_DIR)/never_written"],
          "action": ["node", "<(module_root_dir)/scripts/build_addon.mjs"]
        }
      ]
    }
  ]
}
