/* The settings of OCA's template for Odoo 19. */
module.exports = {
  plugins: [require.resolve("@prettier/plugin-xml")],
  bracketSpacing: false,
  printWidth: 88,
  proseWrap: "always",
  semi: true,
  trailingComma: "es5",
  xmlWhitespaceSensitivity: "preserve",
  overrides: [{files: ["*.js"], options: {tabWidth: 4, bracketSpacing: true}}],
};
