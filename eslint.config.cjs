const js = require("@eslint/js");
const globals = require("globals");

module.exports = [
  {ignores: ["**/static/lib/**", "**/node_modules/**", "**/build/**"]},
  js.configs.recommended,
  {
    files: ["crm_archive_policy/static/**/*.js"],
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: "module",
      globals: {
        ...globals.browser,
        odoo: "readonly",
        owl: "readonly",
        luxon: "readonly",
      },
    },
    rules: {
      complexity: ["error", 16],
      eqeqeq: "error",
      "no-alert": "error",
      "no-console": "error",
      "no-duplicate-imports": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-param-reassign": "error",
      "no-unused-expressions": "error",
      "no-unused-vars": "error",
      "no-var": "error",
      "prefer-const": "error",
      radix: "error",
    },
  },
  {
    files: ["*.cjs"],
    languageOptions: {sourceType: "commonjs", globals: globals.node},
  },
];
